#include "net/retry_book.hpp"

#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

// Upper bounds of a receipt's text (net/receipt.hpp): what all have, and each part.
constexpr std::size_t receipt_base_bytes = 64;
constexpr std::size_t receipt_part_bytes = 36;

}  // namespace

RetryBook::Verdict RetryBook::begin(const IntakeRequest& request, std::int64_t now_us) {
  WELLHEAD_ASSERT(!in_work());
  if (!request.idempotency_key.empty()) return begin_key(request, now_us);
  if (request.lines.claim != 0) return begin_lines(request, now_us);
  return {};
}

RetryBook::Verdict RetryBook::begin_key(const IntakeRequest& request, std::int64_t now_us) {
  WELLHEAD_ASSERT(table_ != nullptr);
  RequestEntry entry{
      .key = key_fingerprint(request.schema->name(), request.idempotency_key),
      .content = content_fingerprint(request.body, {.format = static_cast<std::uint8_t>(request.format),
                                                    .all_or_nothing = request.all_or_nothing}),
      .time_us = now_us,
      .answer = {}};
  KeyVerdict verdict = table_->keys.begin(entry.key, entry.content, now_us);
  switch (verdict.status) {
    case KeyStatus::fresh:
      work_ = std::move(entry);
      return {};
    case KeyStatus::repeated:
      return {
          .standing = Standing::repeated, .time_us = verdict.time_us, .answer = std::move(verdict.answer)};
    case KeyStatus::in_flight:
      return {.standing = Standing::in_flight};
    case KeyStatus::conflict:
      return {.standing = Standing::conflict};
  }
  std::unreachable();
}

RetryBook::Verdict RetryBook::begin_lines(const IntakeRequest& request, std::int64_t now_us) {
  WELLHEAD_ASSERT(table_ != nullptr);
  const ProducerLines& lines = request.lines;
  if (!table_->producers.begin(lines.producer, lines.claim)) return {.standing = Standing::taken_over};
  work_ = ProducerEntry{.producer = lines.producer, .last_sequence = lines.last_sequence, .time_us = now_us};
  return {};
}

void RetryBook::take_back() {
  WELLHEAD_ASSERT(in_work());
  if (const auto* key = std::get_if<RequestEntry>(&*work_))
    table_->keys.abandon(key->key);
  else
    table_->producers.take_back(std::get<ProducerEntry>(*work_).producer);
  work_.reset();
}

void RetryBook::hold(std::uint32_t slot, std::uint32_t accepted, std::uint32_t rejected, std::size_t parts) {
  if (!in_work()) return;
  unsent_bytes_max_ = payload_bytes_with(parts);
  if (auto* key = std::get_if<RequestEntry>(&*work_)) {
    key->answer.accepted = accepted;
    key->answer.rejected = rejected;
  }
  unsent_.push_back({.slot = slot, .entry = std::move(*work_)});
  work_.reset();
}

std::size_t RetryBook::payload_bytes_with(std::size_t parts) const noexcept {
  if (has_key_in_work())
    return unsent_bytes_max_ + sizeof(ledger_format::EntryHead) + sizeof(ledger_format::RequestEntryBody) +
           receipt_base_bytes + parts * receipt_part_bytes;
  return unsent_bytes_max_ + (in_work() ? ledger_format::producer_entry_bytes : 0);
}

void RetryBook::encode(const ReceiptOf& receipt) {
  payload_.clear();
  for (Held& held : unsent_) {
    if (auto* key = std::get_if<RequestEntry>(&held.entry)) {
      key->answer.receipt = receipt(held.slot);
      append_entry(payload_, *key);
    } else {
      append_entry(payload_, std::get<ProducerEntry>(held.entry));
    }
  }
  WELLHEAD_ASSERT(payload_.size() <= unsent_bytes_max_);
}

void RetryBook::begin_block() {
  WELLHEAD_ASSERT(on_its_way_.empty());
  on_its_way_.swap(unsent_);
  unsent_bytes_max_ = 0;
}

void RetryBook::finish_block() {
  for (const Held& held : on_its_way_) {
    if (const auto* key = std::get_if<RequestEntry>(&held.entry))
      table_->keys.finish(*key);
    else
      table_->producers.finish(std::get<ProducerEntry>(held.entry));
  }
  on_its_way_.clear();
  for (const Held& held : doubtful_) {
    if (const auto* key = std::get_if<RequestEntry>(&held.entry))
      table_->keys.abandon(key->key);
    else
      table_->producers.take_back(std::get<ProducerEntry>(held.entry).producer);
  }
  doubtful_.clear();
}

void RetryBook::doubt_block() {
  for (Held& held : on_its_way_) {
    if (const auto* lines = std::get_if<ProducerEntry>(&held.entry)) table_->producers.doubt(lines->producer);
    doubtful_.push_back(std::move(held));
  }
  on_its_way_.clear();
}

void RetryBook::abandon_unsent() {
  for (const Held& held : unsent_) {
    if (const auto* key = std::get_if<RequestEntry>(&held.entry))
      table_->keys.abandon(key->key);
    else
      table_->producers.abandon(std::get<ProducerEntry>(held.entry).producer);
  }
  unsent_.clear();
  unsent_bytes_max_ = 0;
}

}  // namespace wellhead
