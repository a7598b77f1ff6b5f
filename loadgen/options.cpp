#include "loadgen/options.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <random>

namespace wellhead::loadgen {
namespace {

constexpr double rate_limit = 100e6;  // records/s
constexpr double time_limit_s = 30 * 86'400.0;
constexpr std::size_t run_id_bytes_max = 32;
// With --max the window is what drives the node: enough for a database to work in large transactions, and not
// so much that batches only wait. At a rate it must not be what limits, and only bounds memory.
constexpr std::uint32_t window_closed_loop = 16;
constexpr std::uint32_t window_open_loop = 64;
constexpr std::uint64_t step_us_limit = 3'600'000'000;

const std::map<std::string, StreamKind> stream_names{{"telemetry", StreamKind::telemetry},
                                                     {"esp_telemetry", StreamKind::esp_telemetry},
                                                     {"diagnostic_results", StreamKind::diagnostic_results}};
const std::map<std::string, Compression> compression_names{
    {"none", Compression::none}, {"gzip", Compression::gzip}, {"zstd", Compression::zstd}};
const std::map<std::string, AckLevel> ack_names{
    {"listener", AckLevel::listener}, {"journal", AckLevel::journal}, {"commit", AckLevel::commit}};

constexpr const char* description =
    "wellhead-loadgen drives a wellhead node with the readings of simulated wells, or with a recorded file, "
    "and "
    "checks what arrived.\nLatency is counted from the time each batch was scheduled for, so a stall of the "
    "server "
    "shows in every batch it delayed.";

constexpr const char* footer =
    "Exit codes: 0 fine; 1 verification failed, records failed or the rate was not held; 2 usage; 3 could "
    "not "
    "connect.\n"
    "The database of --verify: give the flag without a value and put the URL into "
    "WELLHEAD_LOADGEN_DATABASE_URL or "
    "DATABASE_URL, or use\nPGHOST, PGUSER, PGPASSWORD, PGPASSFILE and so on: what is on a command line can "
    "be read "
    "by every user of the machine.";

// What CLI11 fills that needs more work before it is an Options.
struct Raw {
  std::string stream = "telemetry";
  std::string compression = "none";
  std::string ack = "listener";
  std::string speed = "1";
  std::string verify_url;
  std::vector<std::string> cpu_of;
  std::uint32_t batch = 0;
  bool maximum = false;
};

void add_target_options(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--url", options.url, "Where to send: http://HOST:PORT or ndjson://HOST:PORT")
      ->capture_default_str();
  app.add_flag("--allow-remote", options.allow_remote, "Allow a target that is not on this machine");
  app.add_option("--connections", options.connections, "Connections, spread over the threads")
      ->check(CLI::Range(1U, connections_limit))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Sending threads")
      ->check(CLI::Range(1U, threads_limit))
      ->capture_default_str();
  app.add_option("--window", options.window,
                 "NDJSON: batches on their way per connection; 0: 16 with --max, 64 without")
      ->capture_default_str();
  app.add_option(
         "--ack", raw.ack,
         "HTTP: acknowledge when a record is durable (journal) or in the database (commit); listener: "
         "as the node is configured")
      ->check(CLI::IsMember(ack_names))
      ->capture_default_str();
  app.add_flag("--retry", options.retry,
               "HTTP: give every request an Idempotency-Key, and send it again when its connection broke or "
               "its outcome is unknown");
  app.add_option("--connect-timeout", options.connect_timeout_s, "Seconds to wait for the first connections")
      ->check(CLI::Range(0.0, time_limit_s))
      ->capture_default_str();
}

void add_load_options(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--batch", raw.batch, "Records per batch; 0: 500, or 100 with --replay")
      ->check(CLI::Range(0U, batch_limit))
      ->capture_default_str();
  auto* rate = app.add_option("--rate", options.rate, "Records per second, open loop")
                   ->check(CLI::Range(0.001, rate_limit))
                   ->capture_default_str();
  app.add_flag("--max", raw.maximum, "As fast as the server answers (closed loop) instead of --rate")
      ->excludes(rate);
  auto* duration = app.add_option("--duration", options.duration_s, "Seconds to send for")
                       ->check(CLI::Range(0.001, time_limit_s))
                       ->capture_default_str();
  auto* count =
      app.add_option("--count", options.count, "Records to send, instead of --duration; 0: by duration")
          ->excludes(duration)
          ->capture_default_str();
  app.add_flag("--until-stopped", options.until_stopped,
               "Send until SIGINT or SIGTERM, whatever dies meanwhile; the rate is told and not judged")
      ->excludes(duration)
      ->excludes(count);
  app.add_option("--timeout", options.timeout_s,
                 "Seconds to wait: for answers after the last batch, for any answer at all")
      ->check(CLI::Range(0.1, time_limit_s))
      ->capture_default_str();
  app.add_option("--compress", raw.compression, "HTTP body: none, gzip or zstd")
      ->check(CLI::IsMember(compression_names))
      ->capture_default_str();
}

void add_record_options(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--stream", raw.stream, "telemetry, esp_telemetry or diagnostic_results")
      ->check(CLI::IsMember(stream_names))
      ->capture_default_str();
  app.add_option("--wells", options.wells, "Simulated wells")
      ->check(CLI::Range(1U, wells_limit))
      ->capture_default_str();
  app.add_option("--bad-share", options.bad_share,
                 "Share of records that are bad and must be rejected, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--step-us", options.step_us,
                 "Microseconds between two readings of a well; 0: follows the rate")
      ->check(CLI::Range(std::uint64_t{0}, step_us_limit))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "The same seed makes the same readings")->capture_default_str();
  app.add_option("--run-id", options.run_id,
                 "Part of every device id of this run, letters and digits; default: random, unique per run");
  app.add_option("--replay", options.replay_path,
                 "Send the records of this NDJSON file, each with its own text")
      ->check(CLI::ExistingFile);
  app.add_option("--speed", raw.speed,
                 "Replay: how many times faster than the records' timestamps say, or 'max'")
      ->capture_default_str();
}

void add_output_options(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--verify", raw.verify_url,
                 "Read all rows of the run back from this database and check each")
      ->expected(0, 1)
      ->type_name("DATABASE_URL");
  app.add_option("--verify-timeout", options.verify_timeout_s,
                 "Seconds to wait after the last answer: for the database, for the node of --admin to have "
                 "committed all, for acknowledged rows that are not there yet")
      ->check(CLI::Range(0.0, time_limit_s))
      ->capture_default_str();
  app.add_option("--admin", options.admin_url,
                 "The node's admin port, http://HOST:PORT: --verify waits until nothing is queued there");
  app.add_option("--table", options.table, "Table to verify, as written in SQL; default: the stream's name");
  app.add_option("--hgrm", options.hgrm_path,
                 "Write the acknowledge latency as an HdrHistogram percentile file");
  app.add_option("--json", options.json_path, "Write the result as JSON; '-' is standard output");
  app.add_option("--status", options.status_path,
                 "Keep this file rewritten with the counts so far as JSON while the run is on");
  app.add_option("--cpu-of", raw.cpu_of,
                 "NAME=PID: report the CPU seconds of that process and its children; may be repeated")
      ->type_name("NAME=PID");
  app.add_flag("--quiet", options.quiet, "No progress on standard error");
}

std::string random_run_id() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

bool valid_run_id(const std::string& id) {
  return !id.empty() && id.size() <= run_id_bytes_max &&
         std::all_of(id.begin(), id.end(), [](char character) {
           return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
                  (character >= 'A' && character <= 'Z');
         });
}

std::string database_url_from_environment() {
  for (const char* name : {"WELLHEAD_LOADGEN_DATABASE_URL", "DATABASE_URL"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

template <typename Number>
std::optional<Number> number_from(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::expected<void, std::string> apply_speed(Options& options, const std::string& speed) {
  if (speed == "max") {
    options.pacing = Pacing::maximum;
    return {};
  }
  const auto value = number_from<double>(speed);
  if (!value || !(*value > 0) || *value > 1e9) {
    return std::unexpected(fmt::format("--speed must be a number above 0 or 'max', not '{}'", speed));
  }
  options.speed = *value;
  return {};
}

std::expected<void, std::string> apply_cpu_of(Options& options, const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    const std::size_t equals = entry.find('=');
    const auto pid =
        equals == std::string::npos ? std::nullopt : number_from<pid_t>(entry.substr(equals + 1));
    if (!pid || *pid <= 0 || equals == 0) {
      return std::unexpected(fmt::format("--cpu-of wants NAME=PID, not '{}'", entry));
    }
    options.cpu_of.emplace_back(entry.substr(0, equals), *pid);
  }
  return {};
}

// What CLI11's own checks cannot express.
std::expected<void, std::string> finish(Options& options, const Raw& raw, bool verify_given) {
  options.stream = stream_names.at(raw.stream);
  options.stream_name = raw.stream;
  options.compression = compression_names.at(raw.compression);
  options.ack = ack_names.at(raw.ack);
  const bool is_http = options.url.starts_with("http://");
  if (options.ack != AckLevel::listener && !is_http) {
    return std::unexpected("--ack is a header of HTTP requests; with NDJSON the node's listener decides");
  }
  if (options.retry && !is_http) return std::unexpected("--retry is for HTTP: lines have no Idempotency-Key");
  if (raw.batch != 0) options.batch = options.replay_batch = raw.batch;
  if (raw.maximum) options.pacing = Pacing::maximum;
  if (options.table.empty()) options.table = raw.stream;
  if (options.run_id.empty()) options.run_id = random_run_id();
  if (!valid_run_id(options.run_id)) {
    return std::unexpected(fmt::format("--run-id must be 1 to {} letters and digits", run_id_bytes_max));
  }
  if (options.is_replay()) {
    if (options.bad_share > 0) return std::unexpected("--bad-share has no meaning with --replay");
    if (options.until_stopped)
      return std::unexpected("--until-stopped has no meaning with --replay: the file has an end");
    if (auto applied = apply_speed(options, raw.speed); !applied) return applied;
    if (raw.maximum) options.pacing = Pacing::maximum;
  }
  options.verify = verify_given;
  if (verify_given)
    options.database_url = raw.verify_url.empty() ? database_url_from_environment() : raw.verify_url;
  options.threads = std::min(options.threads, options.connections);
  if (options.window == 0)
    options.window = options.pacing == Pacing::maximum ? window_closed_loop : window_open_loop;
  return apply_cpu_of(options, raw.cpu_of);
}

}  // namespace

std::expected<Options, int> parse_options(int argc, const char* const* argv) {
  Options options;
  Raw raw;
  CLI::App app{description, "wellhead-loadgen"};
  app.footer(footer);
  add_target_options(app, options, raw);
  add_load_options(app, options, raw);
  add_record_options(app, options, raw);
  add_output_options(app, options, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(app.exit(error) == 0 ? exit_fine : exit_usage);
  }
  if (auto finished = finish(options, raw, app.count("--verify") > 0); !finished) {
    fmt::print(stderr, "{}\nRun with --help for more information.\n", finished.error());
    return std::unexpected(exit_usage);
  }
  return options;
}

}  // namespace wellhead::loadgen
