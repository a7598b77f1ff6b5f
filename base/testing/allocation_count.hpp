// How often this program has allocated. For test programs: linking allocation_count.cpp replaces operator
// new.
#pragma once

#include <cstddef>

namespace wellhead::testing {

// Any thread; of all threads together, since the program's start.
[[nodiscard]] std::size_t allocation_count() noexcept;

}  // namespace wellhead::testing
