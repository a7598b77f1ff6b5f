#include "engine/config_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "codec/dead_letter.hpp"
#include "codec/row.hpp"
#include "engine/config_keys.hpp"
#include "engine/cores.hpp"
#include "queue/batch.hpp"

namespace wellhead {
namespace {

constexpr std::size_t streams_max = 4'096;  // RowHeader::stream has 16 bits; far above any real node
// Each shard may have one batch being filled and one on its way.
constexpr std::uint32_t batches_per_shard_min = 2;

class Checker {
 public:
  Checker(LoadedConfig& loaded, const std::vector<PlacedStream>& streams, ConfigErrors& errors)
      : loaded_(loaded), config_(loaded.config), streams_(streams), errors_(errors) {}

  void run() {
    check_listeners();
    check_buffers();
    check_streams();
    check_pipeline();
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
      errors_.push_back(fmt::format("{}: {}", stream.where, schema.error()));
      return;
    }
    loaded_.schemas.push_back(std::move(*schema));
    const std::size_t longest = longest_row_bytes(stream.config);
    if (longest > config_.batch_bytes - Batch::header_room_bytes)
      errors_.push_back(
          fmt::format("{}: streams.{}: its longest row takes {} bytes and would not fit pipeline.batch_bytes "
                      "= \"{}\"; lower "
                      "max_bytes of its text columns or raise pipeline.batch_bytes.",
                      stream.where, stream.config.name, longest, format_size(config_.batch_bytes)));
  }

  void check_pipeline() {
    const std::uint32_t shards = thread_counts(config_, usable_cores()).shards;
    const std::uint32_t least = shards * batches_per_shard_min;
    if (batches_per_reactor(config_) < least)
      add("pipeline.memory",
          fmt::format("is too little for {} shards: it must hold {} batches of {} each, {} in all", shards,
                      least, format_size(config_.batch_bytes),
                      format_size(std::uint64_t{least} * config_.batch_bytes)));
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
  const std::vector<PlacedStream>& streams_;
  ConfigErrors& errors_;
};

}  // namespace

ThreadCounts thread_counts(const Config& config, std::uint32_t cores) {
  return {config.reactors != 0 ? config.reactors : automatic_reactors(cores),
          config.shards != 0 ? config.shards : automatic_shards(cores)};
}

PostgresOptions postgres_options(const Config& config) {
  return {.connection = config.database.url,
          .node_id = config.node_id,
          .synchronous_commit = config.database.synchronous_commit,
          .connect_timeout = config.database.connect_timeout,
          .statement_timeout = config.database.statement_timeout};
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
