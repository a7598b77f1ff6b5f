#include "engine/config_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <numeric>
#include <ranges>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t kibibyte = 1 << 10;
constexpr std::int64_t mebibyte = 1 << 20;
constexpr std::int64_t gibibyte = 1 << 30;
constexpr std::int64_t tebibyte = 1'024 * gibibyte;
constexpr std::int64_t second = 1'000;
constexpr std::int64_t hour = 3'600 * second;
constexpr std::int64_t day = 24 * hour;

#define WELLHEAD_SLOT(member) [](Config& config) -> KeySlot { return &config.member; }

// clang-format off
constexpr std::array keys_table{
    ConfigKey{.name = "node.id", .type = KeyType::text, .slot = WELLHEAD_SLOT(node_id),
              .help = "Names this node in logs and in the database. Empty: the host's name."},

    ConfigKey{.name = "server.reactors", .type = KeyType::integer, .slot = WELLHEAD_SLOT(reactors), .minimum = 0, .maximum = 256,
              .help = "Threads that receive, decode and answer. 0: a quarter of the cores, at least 1."},
    ConfigKey{.name = "server.shards", .type = KeyType::integer, .slot = WELLHEAD_SLOT(shards), .minimum = 0, .maximum = 256,
              .help = "Threads that write, each with one database connection. 0: half of the cores, at least 2."},
    ConfigKey{.name = "server.pin_threads", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(pin_threads),
              .help = "Binds each reactor and shard to a core of its own. Only where the node has the machine to itself."},
    ConfigKey{.name = "server.drain_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(drain_timeout), .minimum = 0, .maximum = hour,
              .help = "After TERM: how long records that were taken may still be committed and answered."},

    ConfigKey{.name = "http.listen", .type = KeyType::endpoint, .slot = WELLHEAD_SLOT(http),
              .help = "Where `POST /v1/ingest/{stream}` is answered."},
    ConfigKey{.name = "http.ack", .type = KeyType::choice, .slot = WELLHEAD_SLOT(http_ack), .choices = "automatic|journal|commit",
              .help = "When a request is answered: its records are in the `journal` of this machine, or a `commit` put them into the database. A request's `Ack` header goes before it. `automatic`: `journal` where there is one, else `commit`."},
    ConfigKey{.name = "ndjson.listen", .type = KeyType::endpoint, .slot = WELLHEAD_SLOT(ndjson),
              .help = "Where newline-delimited records are taken over plain TCP."},
    ConfigKey{.name = "ndjson.stream", .type = KeyType::text, .slot = WELLHEAD_SLOT(ndjson_stream),
              .help = "The stream of the records that arrive there."},
    ConfigKey{.name = "ndjson.acknowledge", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(ndjson_acknowledge),
              .help = "Tells NDJSON clients which lines were taken for good and which were rejected."},
    ConfigKey{.name = "ndjson.ack", .type = KeyType::choice, .slot = WELLHEAD_SLOT(ndjson_ack), .choices = "automatic|journal|commit",
              .help = "When a line counts as taken for good, as `http.ack`."},
    ConfigKey{.name = "admin.listen", .type = KeyType::endpoint, .slot = WELLHEAD_SLOT(admin),
              .help = "Where health and metrics are answered."},

    ConfigKey{.name = "limits.connections_max", .type = KeyType::integer, .slot = WELLHEAD_SLOT(net.connections_max), .minimum = 1, .maximum = 1'000'000,
              .help = "Connections per reactor; more are closed at once."},
    ConfigKey{.name = "limits.header_bytes_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(net.header_bytes_max), .minimum = kibibyte, .maximum = mebibyte,
              .help = "Request line and headers of one HTTP request together; else 431."},
    ConfigKey{.name = "limits.body_bytes_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(net.body_bytes_max), .minimum = kibibyte, .maximum = gibibyte,
              .help = "One HTTP body as received; else 413."},
    ConfigKey{.name = "limits.inflated_bytes_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(net.inflated_bytes_max), .minimum = kibibyte, .maximum = gibibyte,
              .help = "One HTTP body after gzip or zstd; else 413."},
    ConfigKey{.name = "limits.body_memory_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(net.body_memory_max), .minimum = mebibyte, .maximum = tebibyte,
              .help = "All bodies being collected on one reactor; beyond it, 503."},
    ConfigKey{.name = "limits.line_bytes_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(net.line_bytes_max), .minimum = kibibyte, .maximum = 64 * mebibyte,
              .help = "One line of NDJSON over TCP; a longer one is rejected and passed over."},
    ConfigKey{.name = "limits.record_bytes_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(decoder.record_bytes_max), .minimum = kibibyte, .maximum = 64 * mebibyte,
              .help = "One record's JSON text; a longer one is rejected with `record_too_large`."},
    ConfigKey{.name = "limits.depth_max", .type = KeyType::integer, .slot = WELLHEAD_SLOT(decoder.depth_max), .minimum = 1, .maximum = 1'000,
              .help = "Nesting inside one record; deeper ones are rejected with `too_deep`."},
    ConfigKey{.name = "limits.header_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(net.header_timeout), .minimum = 10, .maximum = hour,
              .help = "From the first byte of a request to its last header; else 408."},
    ConfigKey{.name = "limits.body_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(net.body_timeout), .minimum = 10, .maximum = day,
              .help = "From the last header to the last byte of the body; else 408."},
    ConfigKey{.name = "limits.idle_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(net.idle_timeout), .minimum = 10, .maximum = 30 * day,
              .help = "Between two requests or two lines; then the connection is closed."},
    ConfigKey{.name = "limits.send_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(net.send_timeout), .minimum = 10, .maximum = hour,
              .help = "For a client to read its reply; then the connection is closed."},
    ConfigKey{.name = "limits.commit_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(net.commit_timeout), .minimum = 10, .maximum = day,
              .help = "From the whole request to its records being in the journal, or committed where the client waits for that; then 503, and the client does not know their fate."},
    ConfigKey{.name = "limits.admission_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(net.admission_timeout), .minimum = 0, .maximum = hour,
              .help = "How long a request waits for memory when the pipeline is full; then 429."},
    ConfigKey{.name = "limits.receipt_wait_max", .type = KeyType::duration, .slot = WELLHEAD_SLOT(net.receipt_wait_max), .minimum = 0, .maximum = hour,
              .help = "How long `GET /v1/receipts/{receipt}?wait=` may wait for the commit; longer waits are cut to it."},
    ConfigKey{.name = "limits.receive_buffer_bytes", .type = KeyType::size, .slot = WELLHEAD_SLOT(net.receive_buffer_bytes), .minimum = 4 * kibibyte, .maximum = 4 * mebibyte,
              .help = "One buffer of the ring a reactor receives into."},
    ConfigKey{.name = "limits.receive_buffers", .type = KeyType::integer, .slot = WELLHEAD_SLOT(net.receive_buffers), .minimum = 1, .maximum = 32'768,
              .help = "Buffers of that ring; a power of two."},

    ConfigKey{.name = "pipeline.batch_bytes", .type = KeyType::size, .slot = WELLHEAD_SLOT(batch_bytes), .minimum = 16 * kibibyte, .maximum = 256 * mebibyte,
              .help = "Rows a reactor hands to a shard at once; a multiple of 4KiB that holds the longest row of every stream."},
    ConfigKey{.name = "pipeline.memory", .type = KeyType::size, .slot = WELLHEAD_SLOT(pipeline_memory), .minimum = mebibyte, .maximum = tebibyte,
              .help = "Memory of each reactor for rows on their way. When it is used up, clients are made to wait. Rows that a database away would keep here are left to the journal."},

    ConfigKey{.name = "journal.enabled", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(journal.enabled),
              .help = "Makes records durable on this machine before they are acknowledged. Without it nothing is acknowledged before its commit, and with the database away nothing is taken."},
    ConfigKey{.name = "journal.dir", .type = KeyType::text, .slot = WELLHEAD_SLOT(journal.directory),
              .help = "The journal's directory, made with mode 0700 if it is not there. One node, one directory, on a local disk."},
    ConfigKey{.name = "journal.segment_bytes", .type = KeyType::size, .slot = WELLHEAD_SLOT(journal.limits.segment_bytes), .minimum = 64 * kibibyte, .maximum = 16 * gibibyte,
              .help = "One file of the journal, made ahead of its use; a multiple of 4KiB. Space comes free a segment at a time."},
    ConfigKey{.name = "journal.block_bytes_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(journal.limits.block_bytes_max), .minimum = 32 * kibibyte, .maximum = gibibyte,
              .help = "The most that is made durable at once. All rows of one request are in one block, so this bounds a request too; else 413."},
    ConfigKey{.name = "journal.bytes_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(journal.limits.bytes_max), .minimum = mebibyte, .maximum = 1'024 * tebibyte,
              .help = "The whole journal: how much of a database outage it bridges. When it is reached, 503, and NDJSON connections are not read."},
    ConfigKey{.name = "journal.free_bytes_min", .type = KeyType::size, .slot = WELLHEAD_SLOT(journal.limits.free_bytes_min), .minimum = 0, .maximum = 1'024 * tebibyte,
              .help = "Space the journal leaves to others on its file system, by the same means."},
    ConfigKey{.name = "journal.keep_bytes", .type = KeyType::size, .slot = WELLHEAD_SLOT(journal.limits.keep_bytes), .minimum = 0, .maximum = 1'024 * tebibyte,
              .help = "What the database has for good is kept all the same, at most this much of it,"},
    ConfigKey{.name = "journal.keep_time", .type = KeyType::duration, .slot = WELLHEAD_SLOT(journal.limits.keep_time), .minimum = 0, .maximum = 30 * day,
              .help = "and at most this long: a failover to an asynchronous replica that is no further behind loses nothing."},
    ConfigKey{.name = "journal.direct", .type = KeyType::choice, .slot = WELLHEAD_SLOT(journal.direct), .choices = "required|preferred|off",
              .help = "Writes around the page cache (O_DIRECT, O_DSYNC). `preferred`: where the file system can, else a write and fdatasync, and a warning."},
    ConfigKey{.name = "journal.accept_damage", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(journal.limits.accept_damage),
              .help = "Starts although acknowledged blocks of the journal are damaged. They are set aside in `quarantine/`; the log says what is lost. For one start, after `wellhead journal verify`."},
    ConfigKey{.name = "journal.accept_loss", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(journal.accept_loss),
              .help = "Goes on over records that neither the database nor the journal has any more: after a backup was restored, or a replica took over that was further behind than what is kept. For one start."},

    ConfigKey{.name = "retries.window", .type = KeyType::duration, .slot = WELLHEAD_SLOT(retries.window), .minimum = second, .maximum = 365 * day,
              .help = "How long a request with an `Idempotency-Key`, and a producer that says nothing, is remembered. Sent again later it is stored again."},
    ConfigKey{.name = "retries.entries_max", .type = KeyType::integer, .slot = WELLHEAD_SLOT(retries.entries_max), .minimum = 1, .maximum = 100'000'000,
              .help = "So many requests, and as many producers, are remembered at most, about 250 bytes each; then the oldest are forgotten before their time."},

    ConfigKey{.name = "flush.rows", .type = KeyType::integer, .slot = WELLHEAD_SLOT(flush.rows_max), .minimum = 1, .maximum = 10'000'000,
              .help = "A shard commits when it holds this many rows,"},
    ConfigKey{.name = "flush.bytes", .type = KeyType::size, .slot = WELLHEAD_SLOT(flush.bytes_max), .minimum = kibibyte, .maximum = gibibyte,
              .help = "or this many bytes,"},
    ConfigKey{.name = "flush.linger", .type = KeyType::duration, .slot = WELLHEAD_SLOT(flush.linger), .minimum = 0, .maximum = 60 * second,
              .help = "or when its first row has waited this long."},

    ConfigKey{.name = "sink.kind", .type = KeyType::choice, .slot = WELLHEAD_SLOT(sink), .choices = "postgres|null",
              .help = "Where rows go. `null` counts them and throws them away: for measuring only."},
    ConfigKey{.name = "sink.direct_compress", .type = KeyType::choice, .slot = WELLHEAD_SLOT(direct_compress), .choices = "automatic|off|always",
              .help = "Whether rows are compressed on their way into the table (TimescaleDB's Community edition from 2.21, tables with continuous aggregates from 2.24; [database.md](database.md#compressed-on-the-way-in)). `automatic`: flushes it pays for. `off`: the server's own setting counts."},
    ConfigKey{.name = "sink.direct_compress_rows_min", .type = KeyType::integer, .slot = WELLHEAD_SLOT(direct_compress_rows_min), .minimum = 1, .maximum = 1'000'000,
              .help = "With `automatic`: a flush with so many rows per device, on average, in a table."},

    ConfigKey{.name = "database.url", .type = KeyType::text, .slot = WELLHEAD_SLOT(database.url),
              .help = "libpq URI or `key=value` string. Empty: `DATABASE_URL`, else the usual `PG…` variables.", .secret = true},
    ConfigKey{.name = "database.url_file", .type = KeyType::text, .slot = WELLHEAD_SLOT(database.url_file),
              .help = "File whose first line is the URL, for secrets that come as files."},
    ConfigKey{.name = "database.synchronous_commit", .type = KeyType::choice, .slot = WELLHEAD_SLOT(database.synchronous_commit), .choices = "automatic|on|off|local|remote_write|remote_apply",
              .help = "As PostgreSQL's setting. `automatic`: `off` with a journal, which writes again what a crash of the database made it forget; `on` without one, where `off` can lose acknowledged records."},
    ConfigKey{.name = "database.flush_interval", .type = KeyType::duration, .slot = WELLHEAD_SLOT(database.flush_interval), .minimum = 10, .maximum = 60 * second,
              .help = "With `off`: how often one commit is synchronous all the same. Only what lies before it goes from the journal."},
    ConfigKey{.name = "database.connect_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(database.connect_timeout), .minimum = 100, .maximum = std::int64_t{10} * 60 * second,
              .help = "For one attempt to connect."},
    ConfigKey{.name = "database.statement_timeout", .type = KeyType::duration, .slot = WELLHEAD_SLOT(database.statement_timeout), .minimum = second, .maximum = day,
              .help = "For one statement of a flush; then it is rolled back and tried again."},

    ConfigKey{.name = "dead_letter.payload_bytes_max", .type = KeyType::size, .slot = WELLHEAD_SLOT(dead_letter.payload_bytes_max), .minimum = 64, .maximum = mebibyte,
              .help = "What `dead_letter` keeps of one record's bytes. A longer record cannot be replayed."},
    ConfigKey{.name = "dead_letter.per_request_max", .type = KeyType::integer, .slot = WELLHEAD_SLOT(dead_letter.per_request_max), .minimum = 0, .maximum = 1'000'000,
              .help = "Bad and repaired records of one request that are kept in `dead_letter`; of the others there is only their number. 0: none is kept."},

    ConfigKey{.name = "scoring.enabled", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(scoring.enabled),
              .help = "Judges each reading by what is known of its device. Off: rows keep the score the record by itself has, and no anomaly is flagged."},
    ConfigKey{.name = "scoring.devices_max", .type = KeyType::integer, .slot = WELLHEAD_SLOT(scoring.devices_max), .minimum = 1'000, .maximum = 100'000'000,
              .help = "Devices that are known in memory, of all streams together, shared out among the shards. Of more, those seen least recently are read again from the database when they come."},

    ConfigKey{.name = "log.level", .type = KeyType::choice, .slot = WELLHEAD_SLOT(log_level), .choices = "debug|info|warning|error|off",
              .help = "Log lines below it are dropped. Reloaded on HUP."},

    ConfigKey{.name = "streams.builtin", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(builtin_streams),
              .help = "Offers the streams telemetry, esp_telemetry and diagnostic_results without configuration."},

    ConfigKey{.name = "migrate.covering_index", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(covering_index),
              .help = "`migrate up` also makes the index on telemetry (device_id, timestamp DESC, temperature, pressure, flow_rate)."},

    ConfigKey{.name = "maintenance.enabled", .type = KeyType::boolean, .slot = WELLHEAD_SLOT(maintenance),
              .help = "The node cares for its database beside the records: aggregates, partitions, retention, and metrics of it ([database.md](database.md)). Off: `wellhead maintain` does it elsewhere, but for the metrics."},
};
// clang-format on

#undef WELLHEAD_SLOT

// Least number of insertions, deletions and replacements that turn one word into the other.
std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
    }
  }
  return row.back();
}

std::string format_amount(const ConfigKey& key, std::int64_t amount) {
  if (key.type == KeyType::duration) return format_duration(std::chrono::milliseconds(amount));
  if (key.type == KeyType::size) return format_size(static_cast<std::uint64_t>(amount));
  return std::to_string(amount);
}

std::expected<void, std::string> check_bounds(const ConfigKey& key, std::int64_t amount) {
  if (amount < key.minimum)
    return std::unexpected(fmt::format("{} is below the least allowed, {}",
                                       format_amount(key, std::max<std::int64_t>(amount, 0)),
                                       format_amount(key, key.minimum)));
  if (amount > key.maximum)
    return std::unexpected(fmt::format("{} is above the most allowed, {}", format_amount(key, amount),
                                       format_amount(key, key.maximum)));
  return {};
}

std::expected<std::int64_t, std::string> parse_amount(const ConfigKey& key, std::string_view text) {
  if (key.type == KeyType::integer) return parse_integer(text);
  if (key.type == KeyType::duration) {
    const auto duration = parse_duration(text);
    if (!duration) return std::unexpected(duration.error());
    return std::int64_t{duration->count()};
  }
  const auto bytes = parse_size(text);
  if (!bytes) return std::unexpected(bytes.error());
  return static_cast<std::int64_t>(*bytes);
}

// Stores what was parsed, or hands on what was wrong with it.
template <typename Value>
std::expected<void, std::string> store(std::expected<Value, std::string> parsed, Value& slot) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  slot = std::move(*parsed);
  return {};
}

std::expected<void, std::string> check_choice(const ConfigKey& key, std::string_view text) {
  for (const auto choice : std::views::split(key.choices, '|')) {
    if (std::string_view(choice) == text) return {};
  }
  return std::unexpected(fmt::format("\"{}\" is not one of {}", text, bounds_of(key)));
}

// Puts a checked amount into whichever kind of number the key's member is.
struct StoreAmount {
  std::int64_t amount;
  void operator()(std::uint32_t* slot) const { *slot = static_cast<std::uint32_t>(amount); }
  void operator()(std::uint64_t* slot) const { *slot = static_cast<std::uint64_t>(amount); }
  void operator()(std::chrono::milliseconds* slot) const { *slot = std::chrono::milliseconds(amount); }
  template <typename Other>
  void operator()(Other*) const {
    WELLHEAD_ASSERT(!"a key of this type has a member that holds no number");
  }
};

struct FormatSlot {
  KeyType type;
  std::string operator()(const std::string* slot) const { return *slot; }
  std::string operator()(const bool* slot) const { return *slot ? "true" : "false"; }
  std::string operator()(const std::uint32_t* slot) const { return number(*slot); }
  std::string operator()(const std::uint64_t* slot) const { return number(*slot); }
  std::string operator()(const std::chrono::milliseconds* slot) const { return format_duration(*slot); }
  std::string operator()(const Endpoint* slot) const { return format_endpoint(*slot); }

 private:
  std::string number(std::uint64_t value) const {
    return type == KeyType::size ? format_size(value) : std::to_string(value);
  }
};

}  // namespace

std::string_view to_string(KeyType type) noexcept {
  switch (type) {
    case KeyType::text:
      return "text";
    case KeyType::choice:
      return "word";
    case KeyType::boolean:
      return "true or false";
    case KeyType::integer:
      return "number";
    case KeyType::duration:
      return "duration";
    case KeyType::size:
      return "size";
    case KeyType::endpoint:
      return "address";
  }
  return "";
}

std::span<const ConfigKey> config_keys() {
  return keys_table;
}

const ConfigKey* find_config_key(std::string_view name) {
  const auto* found = std::ranges::find(keys_table, name, &ConfigKey::name);
  return found == keys_table.end() ? nullptr : found;
}

std::size_t config_key_index(std::string_view name) {
  const ConfigKey* key = find_config_key(name);
  WELLHEAD_ASSERT(key != nullptr);
  return static_cast<std::size_t>(key - keys_table.data());
}

std::string environment_name(std::string_view key) {
  std::string name = "WELLHEAD_";
  for (const char character : key)
    name += character == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(character)));
  return name;
}

std::expected<void, std::string> assign(Config& config, const ConfigKey& key, std::string_view text) {
  const KeySlot slot = key.slot(config);
  switch (key.type) {
    case KeyType::choice:
      if (const auto known = check_choice(key, text); !known) return known;
      [[fallthrough]];
    case KeyType::text:
      *std::get<std::string*>(slot) = text;
      return {};
    case KeyType::boolean:
      return store(parse_boolean(text), *std::get<bool*>(slot));
    case KeyType::endpoint:
      return store(parse_endpoint(text), *std::get<Endpoint*>(slot));
    case KeyType::integer:
    case KeyType::duration:
    case KeyType::size:
      break;
  }
  const auto amount = parse_amount(key, text);
  if (!amount) return std::unexpected(amount.error());
  if (const auto bounded = check_bounds(key, *amount); !bounded) return bounded;
  std::visit(StoreAmount{*amount}, slot);
  return {};
}

std::string text_of(const Config& config, const ConfigKey& key) {
  Config copy = config;  // slots point into a Config that may be written; reading must not need that
  return std::visit(FormatSlot{key.type}, key.slot(copy));
}

std::string toml_of(const Config& config, const ConfigKey& key) {
  const bool bare = key.type == KeyType::boolean || key.type == KeyType::integer;
  return bare ? text_of(config, key) : quote_toml(text_of(config, key));
}

std::string bounds_of(const ConfigKey& key) {
  if (key.type == KeyType::choice) {
    std::string words;
    for (const auto choice : std::views::split(key.choices, '|'))
      words += fmt::format("{}`{}`", words.empty() ? "" : ", ", std::string_view(choice));
    return words;
  }
  if (key.maximum == 0) return "";
  return fmt::format("{} … {}", format_amount(key, key.minimum), format_amount(key, key.maximum));
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  const std::size_t distance_max = std::max<std::size_t>(2, word.size() / 3);
  std::size_t best = distance_max + 1;
  std::optional<std::string> chosen;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best) continue;
    best = distance;
    chosen = candidate;
  }
  return chosen;
}

std::vector<std::string> config_key_names() {
  std::vector<std::string> names;
  names.reserve(keys_table.size());
  for (const ConfigKey& key : keys_table) names.emplace_back(key.name);
  return names;
}

}  // namespace wellhead
