// What a completion belongs to: packed into an SQE's user_data, unpacked from the CQE's.
#pragma once

#include <cstdint>

namespace wellhead {

enum class Operation : std::uint8_t {
  accept,   // slot: the listener
  receive,  // slot and generation: the connection
  send,
  cancel,          // of everything on a connection
  cancel_receive,  // of a connection's multishot receive only
  cancel_accept,
  wake,     // the intake's wake_fd
  command,  // request_stop(), request_journal_reopen()
  journal,  // the end of the intake's journal's operation
  probe,
  probe_end,
};

// The generation makes a reused slot another connection, so a late completion cannot touch a stranger.
struct CompletionTag {
  Operation operation;
  std::uint32_t slot = 0;  // below 2^24
  std::uint32_t generation = 0;
};

inline constexpr std::uint32_t slot_count_max = 1U << 24;

[[nodiscard]] constexpr std::uint64_t pack(CompletionTag tag) noexcept {
  return (std::uint64_t{static_cast<std::uint8_t>(tag.operation)} << 56) | (std::uint64_t{tag.slot} << 32) |
         tag.generation;
}

[[nodiscard]] constexpr CompletionTag unpack_tag(std::uint64_t user_data) noexcept {
  return {.operation = static_cast<Operation>(user_data >> 56),
          .slot = static_cast<std::uint32_t>(user_data >> 32) & (slot_count_max - 1),
          .generation = static_cast<std::uint32_t>(user_data)};
}

}  // namespace wellhead
