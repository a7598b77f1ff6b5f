// What the command line asks for, checked.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace wellhead::loadgen {

enum class StreamKind : std::uint8_t { telemetry, esp_telemetry, diagnostic_results };
enum class Compression : std::uint8_t { none, gzip, zstd };
enum class Pacing : std::uint8_t {
  rate,     // open loop: every batch has a scheduled time, whatever the server does
  maximum,  // closed loop: a batch goes as soon as its connection has room
};
// What the node is asked to have done with a record before it acknowledges it.
enum class AckLevel : std::uint8_t {
  listener,  // what its listener is configured for
  journal,   // durable on its machine
  commit,    // in the database
};

// Exit codes of the program; part of its interface.
inline constexpr int exit_fine = 0;
inline constexpr int exit_failed = 1;  // verification failed, records failed or the rate was not held
inline constexpr int exit_usage = 2;
inline constexpr int exit_no_connection = 3;

inline constexpr std::uint32_t wells_limit = 1'000'000;  // six digits in a device id
inline constexpr std::uint32_t batch_limit = 100'000;    // records
inline constexpr std::uint32_t connections_limit = 20'000;
inline constexpr std::uint32_t threads_limit = 256;

struct Options {
  std::string url = "http://127.0.0.1:8080";
  std::string stream_name = "telemetry";
  std::string run_id;        // filled in when not given
  std::string replay_path;   // empty: generated records
  std::string database_url;  // a libpq connection string; empty: the PG* variables. A secret.
  std::string admin_url;     // of the node's admin port; empty: it is not asked
  std::string table;         // empty: the stream's name
  std::string hgrm_path;
  std::string json_path;
  std::string status_path;
  std::vector<std::pair<std::string, pid_t>> cpu_of;  // name and process whose CPU time is reported
  double rate = 10'000;                               // records/s
  double duration_s = 30;
  double timeout_s = 30;
  double verify_timeout_s = 30;
  double connect_timeout_s = 5;
  double bad_share = 0;
  double speed = 1;           // of a replay
  std::uint64_t count = 0;    // records; 0: by duration
  std::uint64_t step_us = 0;  // between two readings of a well; 0: follows the rate
  std::uint64_t seed = 1;
  std::uint32_t connections = 4;
  std::uint32_t threads = 1;
  std::uint32_t batch = 500;         // records
  std::uint32_t replay_batch = 100;  // the server names at most 100 rejects a request
  std::uint32_t window = 0;          // batches outstanding per NDJSON connection; 0: 16 with --max, else 64
  std::uint32_t wells = 1'000;
  Pacing pacing = Pacing::rate;
  StreamKind stream = StreamKind::telemetry;
  Compression compression = Compression::none;
  AckLevel ack = AckLevel::listener;
  bool until_stopped = false;
  bool retry = false;
  bool allow_remote = false;
  bool verify = false;
  bool quiet = false;

  [[nodiscard]] bool is_replay() const { return !replay_path.empty(); }
};

// The options, or the exit code when there is nothing to run; help or an error message has been printed then.
[[nodiscard]] std::expected<Options, int> parse_options(int argc, const char* const* argv);

}  // namespace wellhead::loadgen
