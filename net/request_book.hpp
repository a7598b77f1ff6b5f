// A reactor's account of its requests: what is decided of each, and how many of its rows are not.
//
// In:  decoded requests; batches at the moments that decide about their rows. Out: outcomes to the sessions,
// and the numbers of IntakeStats.
// Invariants: a request's outcome is delivered exactly once, when none of its rows is pending any more; a row
// is never told as accepted unless settle_durable() or settle_returned() said so.
//
// Thread: the reactor's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/decoder.hpp"
#include "net/intake.hpp"
#include "net/receipt.hpp"
#include "queue/batch.hpp"
#include "queue/lane.hpp"

namespace wellhead {

class RequestBook {
 public:
  struct Request {
    RequestOutcome outcome;
    ConnectionId connection{};
    std::uint16_t stream = 0;
    std::uint32_t generation = 0;
    std::uint32_t rows_pending = 0;
    AckLevel ack = AckLevel::commit;
    bool wants_receipt = false;
    std::vector<ReceiptPart> places;  // of its records' rows, once their batches are numbered
    std::string receipt_before;       // of a request that was answered before
  };

  // Why rows were given up.
  struct Abandonment {
    std::string_view problem;  // static storage
    bool nothing_stored = false;
  };

  // `origin` is what the receipts of this reactor have in common; its parts are not looked at. With
  // `journaled`, rows that come back from a shard were durable before. `stats` outlives the book.
  RequestBook(Receipt origin, bool journaled, IntakeStats& stats);

  // A request that nothing is known of yet; its slot names it until forget() or its delivery.
  [[nodiscard]] std::uint32_t open();
  void forget(std::uint32_t slot);
  [[nodiscard]] Request& at(std::uint32_t slot) { return requests_[slot]; }
  // Enters a request whose records' rows are in batches, or, without `rows_kept`, were taken back; and so
  // many dead letters with them, which it waits for likewise.
  void enter(std::uint32_t slot, const IntakeRequest& request, const DecodeResult& decoded, bool rows_kept,
             std::uint32_t dead_letters);

  // Enters a request that was answered before; its rows were not kept. Where its rows are now to be committed
  // and are not, it waits for settle_repeated().
  void enter_repeated(std::uint32_t slot, const IntakeRequest& request, const DecodeResult& decoded,
                      const RememberedAnswer& answer, LaneBoard& board);
  // Once a turn: repeated requests whose rows are committed meanwhile. Returns how many there were.
  std::size_t settle_repeated(LaneBoard& board);
  [[nodiscard]] bool repeated_waiting() const noexcept { return !repeated_waiting_.empty(); }

  // The batch has got its lane and sequence.
  void note_places(const Batch& batch);
  // The batch is not going there after all.
  void forget_places(const Batch& batch);
  // The receipt of a request whose batches are numbered; valid until the next call.
  [[nodiscard]] std::string_view receipt_text(std::uint32_t slot);
  // The batch is in the journal: rows that wait for no more are accepted.
  void settle_durable(const Batch& batch);
  // The batch came back from its shard.
  void settle_returned(Batch& batch);
  // The batch never got to be durable or to its shard.
  void settle_abandoned(const Batch& batch, const Abandonment& why);

  [[nodiscard]] bool has_outcomes() const noexcept { return !done_.empty(); }
  // Tells every outcome there is; requests may be entered from inside. Returns how many.
  std::size_t deliver(RequestListener& listener);
  // Entered or open, and not delivered.
  [[nodiscard]] std::size_t pending() const noexcept { return pending_; }

 private:
  [[nodiscard]] Request* waiting(const Claim& claim);
  void count_received(const Request& request, const DecodeResult& decoded, bool rows_kept);
  void count_rejected(const Request& request, RecordErrorCode code, std::uint32_t count);
  void decide(Request& request, const Claim& claim);
  [[nodiscard]] const Claim& claim_of(const Batch& batch, std::uint32_t row) const;
  void refuse(Request& request, const RefusedRow& refused);

  Receipt origin_;
  const bool journaled_;
  IntakeStats& stats_;
  std::vector<Request> requests_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> done_;  // slots whose outcome is known and not delivered
  std::vector<std::uint32_t> delivering_;
  // Slots of repeated requests whose rows are durable and not committed.
  struct RepeatedWaiting {
    std::uint32_t slot;
    Receipt receipt;
  };
  std::vector<RepeatedWaiting> repeated_waiting_;
  std::string receipt_text_;
  std::size_t pending_ = 0;
};

}  // namespace wellhead
