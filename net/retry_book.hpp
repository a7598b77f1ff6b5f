// A reactor's account of requests that a client may repeat: those with an Idempotency-Key and the lines of a
// producer. What is to be remembered of them goes into the journal block of their rows.
//
// In:  requests (begin), what became of them. Out: the ledger section of the next block, and entries of the
// LedgerTable all reactors share.
// Invariants: every request that begin() called fresh ends in exactly one of take_back(), finish_block() and
// abandon_unsent(), perhaps after doubt_block(); only finish_block() makes the table remember it.
//
// A block that failed may be whole on the disk all the same, and would count after a restart. So what it held
// is in doubt: a repetition is not taken at any reactor until a later block of this one, which takes the
// failed block's place, is durable.
//
// Thread: the reactor's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "journal/ledger_table.hpp"
#include "net/intake.hpp"

namespace wellhead {

class RetryBook {
 public:
  enum class Standing : std::uint8_t {
    fresh,       // to be stored; also every request that cannot be repeated
    repeated,    // stored before: `time_us` and `answer` say when and what
    in_flight,   // an earlier request with the key is on its way
    conflict,    // the key was used for other content
    taken_over,  // another connection speaks for the producer
  };
  struct Verdict {
    Standing standing = Standing::fresh;
    std::int64_t time_us = 0;
    RememberedAnswer answer{};
  };

  // `table` outlives the book; null where there is no journal, and then REQUIRES that no request has a key or
  // a producer.
  explicit RetryBook(LedgerTable* table) : table_(table) {}

  // The request is about to be decoded. At most one is in work at a time.
  [[nodiscard]] Verdict begin(const IntakeRequest& request, std::int64_t now_us);
  [[nodiscard]] bool in_work() const noexcept { return work_.has_value(); }
  [[nodiscard]] bool has_key_in_work() const noexcept {
    return work_ && std::holds_alternative<RequestEntry>(*work_);
  }
  // The request in work is not taken, or nothing of it is stored.
  void take_back();
  // Its rows are in batches that wait for the journal.
  void hold(std::uint32_t slot, std::uint32_t accepted, std::uint32_t rejected, std::size_t parts);
  // An upper bound of the section's payload with the request in work, whose rows are in `parts` batches.
  [[nodiscard]] std::size_t payload_bytes_with(std::size_t parts) const noexcept;
  [[nodiscard]] bool has_unsent() const noexcept { return !unsent_.empty(); }

  // The section of a block with all rows that wait. `receipt(slot)` is the receipt's text, valid until its
  // next call. May be called again when the journal did not take the block.
  using ReceiptOf = std::function<std::string_view(std::uint32_t slot)>;
  void encode(const ReceiptOf& receipt);
  [[nodiscard]] std::span<const std::byte> payload() const noexcept { return payload_; }
  [[nodiscard]] std::uint32_t entries() const noexcept { return static_cast<std::uint32_t>(unsent_.size()); }
  // The journal took it.
  void begin_block();
  // It is durable, and so is that no block counts which failed before it.
  void finish_block();
  // It failed.
  void doubt_block();
  // Whether a block is needed, be it empty, to end doubts.
  [[nodiscard]] bool in_doubt() const noexcept { return !doubtful_.empty(); }
  // The rows that wait are given up.
  void abandon_unsent();

 private:
  struct Held {
    std::uint32_t slot;
    LedgerEntry entry;
  };

  [[nodiscard]] Verdict begin_key(const IntakeRequest& request, std::int64_t now_us);
  [[nodiscard]] Verdict begin_lines(const IntakeRequest& request, std::int64_t now_us);
  LedgerTable* table_;
  std::optional<LedgerEntry> work_;
  std::vector<Held> unsent_;
  std::vector<Held> on_its_way_;
  std::vector<Held> doubtful_;  // of blocks that failed
  std::vector<std::byte> payload_;
  std::size_t unsent_bytes_max_ = 0;  // upper bound of what unsent_ takes
};

}  // namespace wellhead
