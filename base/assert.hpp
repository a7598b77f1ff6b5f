// Invariants that stay on in release builds.
//
// A broken invariant means the program no longer knows what it holds, so it stops at once: a node that dies
// loses nothing acknowledged, a node that goes on could.
#pragma once

namespace wellhead {

// Prints the condition and its place to standard error and aborts. Any thread.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace wellhead

#define WELLHEAD_ASSERT(condition)                                  \
  do {                                                              \
    if (!(condition)) [[unlikely]]                                  \
      ::wellhead::assertion_failed(#condition, __FILE__, __LINE__); \
  } while (false)
