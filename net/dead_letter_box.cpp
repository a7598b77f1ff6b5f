#include "net/dead_letter_box.hpp"

#include "base/assert.hpp"

namespace wellhead {

DeadLetterBox::DeadLetterBox(const DeadLetterOptions& options) : per_request_max_(options.per_request_max) {
  if (options.schema != nullptr) writer_.emplace(options.schema, options.node_id, options.seed);
}

void DeadLetterBox::start(bool wanted) {
  kept_.clear();
  limit_ = writer_ && wanted ? per_request_max_ : 0;
}

void DeadLetterBox::add(const RejectedRecord& record, std::string_view code) {
  WELLHEAD_ASSERT(wants());
  kept_.push_back({record.index, code, record.field, std::string(record.message),
                   std::string(record.device_id), record.text,
                   record.whole_bytes == 0 ? record.text.size() : record.whole_bytes});
}

void DeadLetterBox::forget_repaired() {
  std::erase_if(kept_, [](const Kept& record) { return record.code == dead_letter_repaired_code; });
}

DeadLetterBox::Posted DeadLetterBox::post(const Origin& origin, RowSink& rows) {
  WELLHEAD_ASSERT(!kept_.empty() && kept_.size() <= origin.records);
  Posted posted;
  for (const Kept& record : kept_) {
    const bool has_room = writer_->write({.received_us = origin.received_us,
                                          .stream = origin.stream,
                                          .code = record.code,
                                          .field = record.field,
                                          .message = record.message,
                                          .source = origin.source,
                                          .device_id = record.device_id,
                                          .payload = record.text,
                                          .payload_bytes = record.bytes,
                                          .record_index = record.index},
                                         rows);
    if (!has_room) break;
    ++posted.rows;
  }
  posted.dropped = origin.records - posted.rows;
  if (posted.dropped > 0 && post_summary(origin, posted.dropped, rows)) ++posted.rows;
  return posted;
}

bool DeadLetterBox::post_summary(const Origin& origin, std::uint32_t dropped, RowSink& rows) {
  const std::string message =
      "The request had " + std::to_string(dropped) +
      " more records that were rejected or repaired and are not kept here: they were more than "
      "dead_letter.per_request_max, or the node's memory was needed for good ones.";
  return writer_->write({.received_us = origin.received_us,
                         .stream = origin.stream,
                         .code = dead_letter_summary_code,
                         .message = message,
                         .source = origin.source},
                        rows);
}

}  // namespace wellhead
