// Says of a receipt what became of its records.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/receipt.hpp"
#include "queue/lane.hpp"
#include "queue/refused_rows.hpp"

namespace wellhead {

struct ReceiptStatus {
  enum class State : std::uint8_t {
    unknown,      // no such receipt: not one of this journal, or of rows that never were durable
    queued,       // all its rows are durable, not all are committed
    committed,    // all are in the database
    quarantined,  // as committed, but some the database refused for their data: they are in the dead letter
  };
  State state = State::unknown;
  std::uint64_t accepted = 0;     // rows that the receipt is for
  std::uint64_t quarantined = 0;  // of them, as far as their batches are committed
};

// Shared by all reactors. Thread-safe.
class ReceiptDesk {
 public:
  // `journal_digest`: that of the receipts given here (BatchingOptions::receipt_digest). The others outlive
  // the desk.
  ReceiptDesk(std::uint32_t journal_digest, LaneBoard& board, const RefusedRows& refused)
      : journal_digest_(journal_digest), board_(board), refused_(refused) {}

  [[nodiscard]] ReceiptStatus look_up(std::string_view receipt_text) const;

 private:
  enum class Place : std::uint8_t { unknown, durable, committed };
  [[nodiscard]] Place place_of(LaneId lane, std::uint64_t sequence) const;

  const std::uint32_t journal_digest_;
  LaneBoard& board_;
  const RefusedRows& refused_;
};

[[nodiscard]] std::string_view to_string(ReceiptStatus::State state) noexcept;

}  // namespace wellhead
