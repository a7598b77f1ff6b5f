#include "net/journal_gate.hpp"

#include "base/assert.hpp"

namespace wellhead {

std::string JournalGate::problem() const {
  std::string problem = writer_.problem();
  // The writer may have become writable since; the state only follows at the next look().
  if (problem.empty()) problem = "The journal takes nothing at the moment; nothing was stored. Try again.";
  return problem;
}

bool JournalGate::look() {
  const State before = state_;
  if (reopen_wanted_ && !on_its_way()) {
    reopen_wanted_ = false;
    if (writer_.latched()) writer_.reopen();
  }
  if (writer_.latched())
    state_ = State::latched;
  else if (state_ != State::open && writer_.writable())
    state_ = State::open;
  return state_ != before;
}

bool JournalGate::begin_block(std::span<Batch* const> batches, std::span<const std::byte> ledger,
                              std::uint32_t ledger_entries) {
  WELLHEAD_ASSERT(!on_its_way());
  // What requests say of themselves goes in here with the rows it speaks of, so that after a crash either
  // both are there or neither.
  switch (writer_.append(batches, ledger, ledger_entries)) {
    case AppendStatus::planned:
      block_.assign(batches.begin(), batches.end());
      on_its_way_ = true;
      operation_due_ = true;
      state_ = State::open;
      return true;
    case AppendStatus::not_ready:
      state_ = State::not_ready;
      break;
    case AppendStatus::full:
      state_ = State::full;
      break;
    case AppendStatus::latched:
      state_ = State::latched;
      break;
    case AppendStatus::busy:
      WELLHEAD_ASSERT(false);  // the gate is the writer's only user
      break;
  }
  return false;
}

std::optional<JournalOperation> JournalGate::operation() {
  if (!operation_due_) return std::nullopt;
  operation_due_ = false;
  operation_given_ = true;
  return writer_.operation();
}

CompleteResult JournalGate::complete(std::int64_t result) {
  WELLHEAD_ASSERT(operation_given_);
  operation_given_ = false;
  const CompleteResult completed = writer_.complete(result);
  operation_due_ = completed == CompleteResult::more;
  if (completed == CompleteResult::failed) state_ = State::latched;
  return completed;
}

void JournalGate::end_block() {
  WELLHEAD_ASSERT(on_its_way() && !operation_due_ && !operation_given_);
  block_.clear();
  on_its_way_ = false;
}

std::int64_t perform(const JournalOperation& operation) {
  if (operation.kind == JournalOperation::Kind::synchronize) {
    const FileResult<void> synchronized = operation.file->synchronize();
    return synchronized ? 0 : -std::int64_t{synchronized.error()};
  }
  const FileResult<std::size_t> written = operation.file->write(operation.pieces, operation.offset);
  return written ? static_cast<std::int64_t>(*written) : -std::int64_t{written.error()};
}

}  // namespace wellhead
