// What the node is told: the configuration, where each of its values came from, and how it is read.
//
// A value comes from the first of: a flag, an environment variable, the file, the default. One table of keys
// (config_keys.hpp) drives the reading, the environment names, `wellhead check --print-config` and the
// reference in docs/configuration.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/decoder.hpp"
#include "codec/schema.hpp"
#include "engine/config_values.hpp"
#include "journal/journal.hpp"
#include "journal/ledger_stripes.hpp"
#include "net/reactor.hpp"
#include "sink/direct_compress.hpp"
#include "sink/shard.hpp"

namespace wellhead {

// The word of keys that follow from others where nothing else is said.
inline constexpr std::string_view automatic = "automatic";

struct DatabaseConfig {
  std::string url;                            // libpq URI or key=value string; empty: the PG* variables
  std::string url_file;                       // holds the URL instead
  std::string synchronous_commit{automatic};  // with a journal off, without one on
  std::chrono::milliseconds flush_interval{1'000};
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds statement_timeout{60'000};
};

// What is kept of records that do not become rows.
struct DeadLetterConfig {
  std::uint32_t payload_bytes_max = 16U << 10;  // of one record
  std::uint32_t per_request_max = 1'000;        // rows; 0: none
};

// How readings are judged; the streams say what is usual.
struct ScoringSwitches {
  bool enabled = true;
  std::uint64_t devices_max = 1'000'000;  // with baselines in memory, all shards together
};

struct JournalConfig {
  bool enabled = true;
  std::string directory = "/var/lib/wellhead/journal";
  std::string direct = "preferred";
  JournalOptions limits;  // only what keys set: sizes, times, accept_damage
  bool accept_loss = false;
};

struct Config {
  std::string node_id;  // never empty once loaded
  std::uint32_t reactors = 0;
  std::uint32_t shards = 0;
  bool pin_threads = false;
  std::chrono::milliseconds drain_timeout{30'000};

  Endpoint http{"127.0.0.1", 8080};
  std::string http_ack{automatic};  // with a journal journal, without one commit
  Endpoint ndjson{"127.0.0.1", 9090};
  std::string ndjson_stream = "telemetry";
  bool ndjson_acknowledge = false;
  std::string ndjson_ack{automatic};
  Endpoint admin{"127.0.0.1", 9464};

  NetLimits net;
  DecoderLimits decoder;
  std::uint64_t batch_bytes = 256U << 10;
  std::uint64_t pipeline_memory = 128U << 20;
  FlushOptions flush;
  JournalConfig journal;
  LedgerOptions retries;
  std::string sink = "postgres";
  std::string direct_compress{automatic};
  std::uint32_t direct_compress_rows_min = DirectCompressOptions::rows_per_device_min_default;
  DatabaseConfig database;
  DeadLetterConfig dead_letter;
  ScoringSwitches scoring;
  std::string log_level = "info";
  bool covering_index = false;
  bool maintenance = true;

  bool builtin_streams = true;
  std::vector<StreamConfig> streams;  // built-in ones and the user's, as they are in force
};

// What load_config() reads.
struct ConfigSources {
  struct Flag {
    std::string key;   // "server.reactors"
    std::string flag;  // "--reactors"
    std::string value;
  };
  std::optional<std::string> file;                               // path
  std::vector<std::pair<std::string, std::string>> environment;  // all of the process's variables
  std::vector<Flag> flags;
};

// Where a key's value came from, for messages: `where` is "wellhead.toml:12:1", "WELLHEAD_LOG_LEVEL",
// "--log-level".
struct Origin {
  enum class Layer : std::uint8_t { built_in, file, environment, flag };
  Layer layer = Layer::built_in;
  std::string where = "default";
};

struct LoadedConfig {
  Config config;
  std::vector<Origin> origins;             // by position in config_keys()
  std::vector<std::string> stream_places;  // where each of config.streams is written, as PlacedStream::where
  // config.streams, compiled, and the dead letter's behind them; Schema::index() is the position.
  std::vector<SchemaPointer> schemas;
  std::vector<std::string> warnings;  // sentences for the operator; nothing that stops the node
};

// Every mistake that was found, each a sentence naming its place and key. Never empty.
using ConfigErrors = std::vector<std::string>;

// Reads, checks and completes the configuration. Reads the file and database.url_file, nothing else.
[[nodiscard]] std::expected<LoadedConfig, ConfigErrors> load_config(const ConfigSources& sources);

// The file to read: `flag` if given, else WELLHEAD_CONFIG, else default_config_path if there is such a file.
[[nodiscard]] std::optional<std::string> choose_config_file(const std::optional<std::string>& flag);
inline constexpr const char* default_config_path = "/etc/wellhead/wellhead.toml";

[[nodiscard]] std::vector<std::pair<std::string, std::string>> process_environment();

// The configuration in force as a TOML file, secrets left out.
[[nodiscard]] std::string print_config(const LoadedConfig& loaded);
// The streams in force as TOML tables.
[[nodiscard]] std::string print_streams(const Config& config);
// The reference of all keys as Markdown: what docs/configuration.md holds.
[[nodiscard]] std::string print_reference();

}  // namespace wellhead
