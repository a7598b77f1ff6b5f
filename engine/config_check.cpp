#include "engine/config_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "codec/dead_letter.hpp"
#include "codec/row.hpp"
#include "engine/config_keys.hpp"
#include "engine/config_shipped_tables.hpp"
#include "engine/cores.hpp"
#include "net/batching_intake.hpp"
#include "queue/batch.hpp"

namespace wellhead {
namespace {

constexpr std::size_t streams_max = 4'096;  // RowHeader::stream has 16 bits; far above any real node
// Each shard may have one batch being filled and one on its way; with a journal another one being written.
constexpr std::uint32_t batches_per_shard_min = 2;
constexpr std::uint32_t batches_per_shard_with_journal_min = 3;
// Each reactor writes one segment, has the next ready, and needs room for what is still to be flushed.
constexpr std::uint64_t segments_per_reactor_min = 3;
// Descriptors beside the clients' connections: rings, event descriptors, listeners, logs; and per thread.
constexpr std::uint64_t descriptors_reserved = 64;
constexpr std::uint64_t descriptors_per_thread = 8;

class Checker {
 public:
  Checker(LoadedConfig& loaded, const std::vector<PlacedStream>& streams, ConfigErrors& errors)
      : loaded_(loaded),
        config_(loaded.config),
        threads_(thread_counts(loaded.config, usable_cores())),
        streams_(streams),
        errors_(errors) {}

  void run() {
    check_listeners();
    check_buffers();
    check_streams();
    check_pipeline();
    if (config_.journal.enabled) check_journal();
    check_acknowledgements();
    check_database();
  }

 private:
  void add(std::string_view key, std::string_view problem) {
    errors_.push_back(fmt::format("{}: {} = {} {}.", loaded_.origins[config_key_index(key)].where, key,
                                  toml_of(config_, *find_config_key(key)), problem));
  }

  void check_listeners() {
    if (!config_.http.enabled && !config_.ndjson.enabled)
      add("http.listen",
          "leaves nothing to listen on, since ndjson.listen is \"off\" too; give one of them an address");
    check_pair("ndjson.listen", config_.ndjson, "http.listen", config_.http);
    check_pair("admin.listen", config_.admin, "http.listen", config_.http);
    check_pair("admin.listen", config_.admin, "ndjson.listen", config_.ndjson);
    const bool stream_known = std::ranges::any_of(
        streams_, [&](const PlacedStream& stream) { return stream.config.name == config_.ndjson_stream; });
    if (config_.ndjson.enabled && !stream_known)
      add("ndjson.stream", "is not a stream of this node; the streams are " + names());
  }

  void check_pair(std::string_view key, const Endpoint& endpoint, std::string_view other_key,
                  const Endpoint& other) {
    if (endpoint.enabled && endpoint.port != 0 && endpoint == other)
      add(key, fmt::format("is the address of {} already; each listener needs its own", other_key));
  }

  void check_buffers() {
    if (!std::has_single_bit(config_.net.receive_buffers))
      add("limits.receive_buffers", "is not a power of two");
    if (config_.batch_bytes % Batch::alignment != 0) add("pipeline.batch_bytes", "is not a multiple of 4KiB");
  }

  void check_streams() {
    if (streams_.empty())
      add("streams.builtin", "leaves no stream; write a [streams.NAME] table or set it to true");
    if (streams_.size() > streams_max)
      errors_.push_back(fmt::format("{}: streams: there are {} streams, and {} is the most allowed.",
                                    streams_.back().where, streams_.size(), streams_max));
    for (std::size_t index = 0; index < std::min(streams_.size(), streams_max); ++index) compile(index);
    // Only behind all others is its index its position.
    if (loaded_.schemas.size() == streams_.size()) compile_dead_letter();
  }

  void compile_dead_letter() {
    StreamConfig config = dead_letter_stream(config_.dead_letter.payload_bytes_max);
    const std::size_t longest = longest_row_bytes(config);
    if (longest > config_.batch_bytes - Batch::header_room_bytes)
      add("dead_letter.payload_bytes_max",
          fmt::format(
              "makes rows of up to {} bytes, which do not fit pipeline.batch_bytes = \"{}\"; lower it "
              "or raise pipeline.batch_bytes",
              longest, format_size(config_.batch_bytes)));
    const auto index = static_cast<std::uint16_t>(loaded_.schemas.size());
    loaded_.schemas.push_back(Schema::compile(std::move(config), index).value());
  }

  void compile(std::size_t index) {
    const PlacedStream& stream = streams_[index];
    if (stream.config.name == dead_letter_stream_name) {
      errors_.push_back(
          fmt::format("{}: streams.{}: the node keeps bad records in a stream of this name; choose another.",
                      stream.where, dead_letter_stream_name));
      return;
    }
    auto schema = Schema::compile(stream.config, static_cast<std::uint16_t>(index));
    if (!schema) {
      errors_.push_back(fmt::format("{}: {}", place_of_mistake(stream, schema.error()), schema.error()));
      return;
    }
    loaded_.schemas.push_back(std::move(*schema));
    for (const std::string& mistake : find_shipped_table_mistakes(stream.config))
      errors_.push_back(fmt::format("{}: {}", place_of_mistake(stream, mistake), mistake));
    const std::size_t longest = longest_row_bytes(stream.config);
    if (longest > config_.batch_bytes - Batch::header_room_bytes)
      errors_.push_back(
          fmt::format("{}: streams.{}: its longest row takes {} bytes and would not fit pipeline.batch_bytes "
                      "= \"{}\"; lower "
                      "max_bytes of its text columns or raise pipeline.batch_bytes.",
                      stream.where, stream.config.name, longest, format_size(config_.batch_bytes)));
  }

  void check_pipeline() {
    const std::uint32_t shards = threads_.shards;
    const std::uint32_t least =
        shards * (config_.journal.enabled ? batches_per_shard_with_journal_min : batches_per_shard_min);
    if (batches_per_reactor(config_) < least)
      add("pipeline.memory",
          fmt::format("is too little for {} shards: it must hold {} batches of {} each, {} in all", shards,
                      least, format_size(config_.batch_bytes),
                      format_size(std::uint64_t{least} * config_.batch_bytes)));
  }

  void check_journal() {
    const JournalOptions& limits = config_.journal.limits;
    if (config_.journal.directory.empty())
      add("journal.dir", "names no directory; give it one, or set journal.enabled to false");
    if (limits.segment_bytes % Batch::alignment != 0)
      add("journal.segment_bytes", "is not a multiple of 4KiB");
    if (limits.block_bytes_max % Batch::alignment != 0)
      add("journal.block_bytes_max", "is not a multiple of 4KiB");
    check_block();
    check_journal_size();
  }

  void check_block() {
    const std::uint64_t segment = config_.journal.limits.segment_bytes;
    const std::uint64_t block = config_.journal.limits.block_bytes_max;
    const std::uint64_t block_max =
        segment - std::min<std::uint64_t>(segment, journal_format::segment_header_bytes);
    if (block > block_max)
      add("journal.block_bytes_max",
          fmt::format("does not fit a segment; the most that journal.segment_bytes = \"{}\" allows is {}",
                      format_size(segment), format_size(block_max)));
    // One request may have rows for every shard, each in a batch of its own.
    const std::uint64_t block_min = block_bytes_min(config_.batch_bytes, threads_.shards);
    if (block < block_min)
      add("journal.block_bytes_max",
          fmt::format(
              "is too little: it must hold a batch (pipeline.batch_bytes = \"{}\") for each of {} shards and "
              "what is remembered of their requests, {} in all",
              format_size(config_.batch_bytes), threads_.shards, format_size(block_min)));
  }

  void check_journal_size() {
    const JournalOptions& limits = config_.journal.limits;
    const std::uint64_t least = segments_per_reactor_min * threads_.reactors * limits.segment_bytes;
    if (limits.bytes_max < least)
      return add(
          "journal.bytes_max",
          fmt::format("is too little: it must hold {} segments of {} for each of {} reactors, {} in all",
                      segments_per_reactor_min, format_size(limits.segment_bytes), threads_.reactors,
                      format_size(least)));
    // What is kept for a failover takes no new rows.
    if (limits.keep_bytes > limits.bytes_max - least)
      add("journal.keep_bytes",
          fmt::format(
              "leaves too little of journal.bytes_max = \"{}\" for new records; the most it allows is {}",
              format_size(limits.bytes_max), format_size(limits.bytes_max - least)));
  }

  void check_acknowledgements() {
    if (config_.journal.enabled) return;
    constexpr std::string_view problem =
        "needs a journal, and journal.enabled is false; set one of the two otherwise";
    if (config_.http_ack == "journal") add("http.ack", problem);
    if (config_.ndjson_ack == "journal") add("ndjson.ack", problem);
    if (config_.sink == "postgres" && config_.database.synchronous_commit == "off")
      loaded_.warnings.emplace_back(
          "database.synchronous_commit is \"off\" and there is no journal: a crash of the database loses "
          "records that "
          "were acknowledged just before it.");
  }

  void check_database() {
    if (config_.sink != "postgres") return;
    if (const auto valid = validate(postgres_options(config_)); !valid)
      errors_.push_back(fmt::format("{}: database: {}.",
                                    loaded_.origins[config_key_index("database.url")].where, valid.error()));
  }

  [[nodiscard]] std::string names() const {
    std::string list;
    for (const PlacedStream& stream : streams_) list += (list.empty() ? "" : ", ") + stream.config.name;
    return list.empty() ? "none" : list;
  }

  LoadedConfig& loaded_;
  const Config& config_;
  const ThreadCounts threads_;
  const std::vector<PlacedStream>& streams_;
  ConfigErrors& errors_;
};

}  // namespace

ThreadCounts thread_counts(const Config& config, std::uint32_t cores) {
  return {config.reactors != 0 ? config.reactors : automatic_reactors(cores),
          config.shards != 0 ? config.shards : automatic_shards(cores)};
}

std::uint64_t descriptors_wanted(const Config& config, const ThreadCounts& threads) noexcept {
  return std::uint64_t{threads.reactors} * config.net.connections_max + descriptors_reserved +
         descriptors_per_thread * (threads.reactors + threads.shards);
}

bool acknowledges_from_journal(const Config& config, std::string_view ack) noexcept {
  return config.journal.enabled && ack != "commit";
}

JournalOptions journal_options(const Config& config, const ThreadCounts& threads) {
  JournalOptions options = config.journal.limits;
  options.node_id = config.node_id;
  options.reactors = threads.reactors;
  options.shards = threads.shards;
  options.batch_bytes = config.batch_bytes;
  options.direct = config.journal.direct == "required" ? DirectIo::required
                   : config.journal.direct == "off"    ? DirectIo::off
                                                       : DirectIo::preferred;
  return options;
}

PostgresOptions postgres_options(const Config& config) {
  const std::string_view follows = config.journal.enabled ? "off" : "on";
  const std::string& given = config.database.synchronous_commit;
  return {.connection = config.database.url,
          .node_id = config.node_id,
          .synchronous_commit = given == automatic ? std::string(follows) : given,
          .connect_timeout = config.database.connect_timeout,
          .statement_timeout = config.database.statement_timeout};
}

DirectCompressOptions direct_compress_options(const Config& config) {
  return {.use = config.direct_compress == "off"      ? DirectCompressUse::off
                 : config.direct_compress == "always" ? DirectCompressUse::always
                                                      : DirectCompressUse::automatic,
          .rows_per_device_min = config.direct_compress_rows_min};
}

FlushOptions flush_options(const Config& config) {
  FlushOptions options = config.flush;
  options.flush_interval = config.database.flush_interval;
  options.batch_bytes = config.batch_bytes;
  options.accept_loss = config.journal.accept_loss;
  return options;
}

std::uint32_t batches_per_reactor(const Config& config) noexcept {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(config.pipeline_memory / config.batch_bytes, UINT32_MAX));
}

std::size_t longest_row_bytes(const StreamConfig& stream) noexcept {
  constexpr std::size_t field_count_bytes = 2;
  constexpr std::size_t field_length_bytes = 4;
  constexpr std::size_t jsonb_version_bytes = 1;
  constexpr std::size_t fixed_value_bytes_max = 16;
  std::size_t tuple_bytes = field_count_bytes;
  for (const ColumnConfig& column : stream.columns) {
    const bool textual = column.type == ColumnType::text || column.type == ColumnType::jsonb ||
                         column.type == ColumnType::bytea;
    const std::size_t given = column.default_value ? column.default_value->size() : 0;
    const std::size_t value = textual
                                  ? std::max<std::size_t>(column.text_bytes_max, given) + jsonb_version_bytes
                                  : fixed_value_bytes_max;
    tuple_bytes += field_length_bytes + value;
  }
  return row_bytes(tuple_bytes);
}

void check_config(LoadedConfig& loaded, const std::vector<PlacedStream>& streams, ConfigErrors& errors) {
  Checker(loaded, streams, errors).run();
}

}  // namespace wellhead
