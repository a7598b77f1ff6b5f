// Bugs that are planted on purpose, and what each must be found by.
#pragma once

#include <cstdint>

namespace wellhead::simulation {

enum class Mutation : std::uint8_t {
  none,
  acknowledged_before_sync,      // a synchronization is said to be done, and is left out
  progress_outside_transaction,  // the progress row is there although its transaction is not
  keys_behind_their_rows,        // the keys of requests become durable one block later than their rows
};

}  // namespace wellhead::simulation
