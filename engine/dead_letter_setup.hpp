// What reactors and shards of this node need to write dead letters.
#pragma once

#include "base/clock.hpp"
#include "engine/config.hpp"
#include "net/dead_letter_box.hpp"
#include "sink/postgres_committer.hpp"

namespace wellhead {

// For one reactor: what it keeps of records it rejects.
[[nodiscard]] DeadLetterOptions dead_letter_options(const LoadedConfig& loaded);

// For one shard: where the rows go that the database refuses. `clock` outlives the result.
[[nodiscard]] DeadLetterTable dead_letter_table(const LoadedConfig& loaded, const Clock& clock);

}  // namespace wellhead
