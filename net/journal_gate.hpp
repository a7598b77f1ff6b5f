// A reactor's way into its journal: one block at a time, and what the journal says when it takes none.
//
// In:  batches (begin_block), results of operations (complete). Out: operations for the reactor's thread
// beside it. Invariants: the batches of a block are nobody's but the gate's until end_block(); after a
// failure nothing is taken until the writer says that it is writable again.
//
// Thread: the reactor's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "journal/journal.hpp"
#include "queue/batch.hpp"

namespace wellhead {

class JournalGate {
 public:
  enum class State : std::uint8_t {
    open,       // takes a block, or has one on its way
    not_ready,  // will take one soon, nobody needs to do anything
    full,       // until something is trimmed or made room for
    latched,    // until an operator has done something and reopen() was called
  };

  // `writer` outlives the gate.
  explicit JournalGate(JournalWriter& writer) : writer_(writer) {}

  [[nodiscard]] State state() const noexcept { return state_; }
  // Takes nothing until somebody does something about it.
  [[nodiscard]] bool closed() const noexcept { return state_ == State::full || state_ == State::latched; }
  // Why nothing is taken: a sentence for an operator, and for the client that is refused.
  [[nodiscard]] std::string problem() const;
  // Looks at what other threads may have changed, and reopens where that is wanted; true when the state is
  // another.
  bool look();
  // With the next look() that no block is on its way in. Nothing unless the journal is latched.
  void reopen() noexcept { reopen_wanted_ = true; }

  // Starts a block of all `batches` and, if not empty, a ledger section of `ledger_entries` entries. False
  // when the journal does not take it: they stay the caller's. Without either the block is empty, see
  // JournalWriter::append(). REQUIRES no block on its way.
  [[nodiscard]] bool begin_block(std::span<Batch* const> batches, std::span<const std::byte> ledger = {},
                                 std::uint32_t ledger_entries = 0);
  [[nodiscard]] bool on_its_way() const noexcept { return on_its_way_; }
  // The next operation, once.
  [[nodiscard]] std::optional<JournalOperation> operation();
  // REQUIRES that operation() was given. Unless more is to be done the block's batches are to be settled, and
  // then end_block() called.
  [[nodiscard]] CompleteResult complete(std::int64_t result);
  [[nodiscard]] std::span<Batch* const> block() const noexcept { return block_; }
  void end_block();

 private:
  JournalWriter& writer_;
  State state_ = State::open;
  std::vector<Batch*> block_;  // on its way
  bool on_its_way_ = false;
  bool operation_due_ = false;    // the writer has one that was not given yet
  bool operation_given_ = false;  // and its completion has not come
  bool reopen_wanted_ = false;
};

// Runs the operation through its File and returns what a ring's completion would say: for a file without a
// descriptor, in a simulation.
[[nodiscard]] std::int64_t perform(const JournalOperation& operation);

}  // namespace wellhead
