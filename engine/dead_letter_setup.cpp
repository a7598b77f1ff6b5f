#include "engine/dead_letter_setup.hpp"

#include <algorithm>
#include <memory>
#include <random>

#include "base/assert.hpp"
#include "codec/dead_letter.hpp"

namespace wellhead {
namespace {

const SchemaPointer& dead_letter_schema(const LoadedConfig& loaded) {
  const auto found = std::ranges::find(loaded.schemas, dead_letter_stream_name, &Schema::name);
  WELLHEAD_ASSERT(found != loaded.schemas.end());
  return *found;
}

// Ids must not be those of another reactor, shard, run or node.
std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

DeadLetterOptions dead_letter_options(const LoadedConfig& loaded) {
  return {.schema = dead_letter_schema(loaded),
          .node_id = loaded.config.node_id,
          .per_request_max = loaded.config.dead_letter.per_request_max,
          .seed = random_seed()};
}

DeadLetterTable dead_letter_table(const LoadedConfig& loaded, const Clock& clock) {
  const SchemaPointer& schema = dead_letter_schema(loaded);
  const auto writer = std::make_shared<DeadLetterWriter>(schema, loaded.config.node_id, random_seed());
  return {.encode =
              [writer, &clock](const RefusedRow& row, const RowHeader& header, const Schema& stream,
                               std::vector<std::byte>& tuples) {
                const auto* const tuple = reinterpret_cast<const std::byte*>(&header + 1);
                writer->append({stream, header, {tuple, header.tuple_bytes}, row.sqlstate, row.message},
                               clock.wall_us(), tuples);
              },
          .copy_statement = schema->copy_statement()};
}

}  // namespace wellhead
