#include "net/receipt_desk.hpp"

#include <algorithm>

namespace wellhead {

std::string_view to_string(ReceiptStatus::State state) noexcept {
  switch (state) {
    case ReceiptStatus::State::unknown:
      return "unknown";
    case ReceiptStatus::State::queued:
      return "queued";
    case ReceiptStatus::State::committed:
      return "committed";
    case ReceiptStatus::State::quarantined:
      return "quarantined";
  }
  return "unknown";
}

ReceiptStatus ReceiptDesk::look_up(std::string_view receipt_text) const {
  const auto receipt = decode_receipt(receipt_text);
  if (!receipt || receipt->journal_digest != journal_digest_ || receipt->parts.empty()) return {};
  ReceiptStatus status{.state = ReceiptStatus::State::committed};
  for (const ReceiptPart& part : receipt->parts) {
    const LaneId lane{.epoch = receipt->epoch, .reactor = receipt->reactor, .shard = part.shard};
    const Place place = place_of(lane, part.sequence);
    if (place == Place::unknown) return {};
    if (place == Place::durable) status.state = ReceiptStatus::State::queued;
    status.accepted += part.row_count;
    if (place == Place::committed)
      status.quarantined += refused_.count(lane, part.sequence, part.first_row, part.row_count);
  }
  if (status.state == ReceiptStatus::State::committed && status.quarantined > 0)
    status.state = ReceiptStatus::State::quarantined;
  return status;
}

ReceiptDesk::Place ReceiptDesk::place_of(LaneId lane, std::uint64_t sequence) const {
  if (lane.epoch == 0 || lane.epoch > board_.epoch() || sequence == 0) return Place::unknown;
  const LaneState* state = board_.find(lane);
  const bool current = lane.epoch == board_.epoch();
  // A lane of an earlier epoch that the journal holds nothing of was trimmed, which only happens to what is
  // committed for good.
  if (state == nullptr) return current ? Place::unknown : Place::committed;
  if (sequence > state->durable.load(std::memory_order_acquire)) return Place::unknown;
  if (sequence <= state->committed.load(std::memory_order_acquire)) return Place::committed;
  // So was the beginning of a lane that the journal still holds the rest of.
  if (!current) {
    const auto old = std::ranges::lower_bound(board_.old(), lane, {}, &OldLane::lane);
    if (sequence < old->first) return Place::committed;
  }
  return Place::durable;
}

}  // namespace wellhead
