// What no single key can know: values that must fit one another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config.hpp"
#include "engine/config_streams.hpp"
#include "sink/postgres_options.hpp"

namespace wellhead {

// Thread counts in force, after the automatic ones are worked out.
struct ThreadCounts {
  std::uint32_t reactors;
  std::uint32_t shards;
};
[[nodiscard]] ThreadCounts thread_counts(const Config& config, std::uint32_t cores);

// Open files that all connections the configuration allows may need.
[[nodiscard]] std::uint64_t descriptors_wanted(const Config& config, const ThreadCounts& threads) noexcept;

[[nodiscard]] PostgresOptions postgres_options(const Config& config);

// Whether a listener whose key says `ack` acknowledges from the journal, and not only after the commit.
[[nodiscard]] bool acknowledges_from_journal(const Config& config, std::string_view ack) noexcept;

// What the keys say of the journal, with what follows from others; the catalog is left to the caller.
[[nodiscard]] JournalOptions journal_options(const Config& config, const ThreadCounts& threads);

[[nodiscard]] DirectCompressOptions direct_compress_options(const Config& config);
[[nodiscard]] FlushOptions flush_options(const Config& config);

// Batches each reactor may own.
[[nodiscard]] std::uint32_t batches_per_reactor(const Config& config) noexcept;

// Bytes the longest row of the stream takes in a batch.
[[nodiscard]] std::size_t longest_row_bytes(const StreamConfig& stream) noexcept;

// Compiles the streams into loaded.schemas and adds every mistake to `errors`. `streams` is
// loaded.config.streams with their places.
void check_config(LoadedConfig& loaded, const std::vector<PlacedStream>& streams, ConfigErrors& errors);

}  // namespace wellhead
