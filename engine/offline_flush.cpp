#include "engine/offline_flush.hpp"

#include <algorithm>

namespace wellhead {

OfflineFlush::OfflineFlush(std::vector<SchemaPointer> schemas, std::size_t batch_bytes,
                           std::size_t devices_max)
    : schemas_(std::move(schemas)),
      batch_bytes_(batch_bytes),
      stats_(schemas_.size()),
      scorer_(schemas_, {.devices_max = devices_max}, stats_),
      flush_(schemas_) {}

Batch& OfflineFlush::batch_for(std::size_t bytes) {
  if (in_use_ > 0 && batches_[in_use_ - 1]->fits(bytes)) return *batches_[in_use_ - 1];
  // A row of an earlier configuration may be longer than today's batches.
  const std::size_t least =
      (bytes + Batch::header_room_bytes + Batch::alignment - 1) / Batch::alignment * Batch::alignment;
  if (in_use_ == batches_.size() || !batches_[in_use_]->fits(bytes))
    batches_.insert(batches_.begin() + static_cast<std::ptrdiff_t>(in_use_),
                    std::make_unique<Batch>(std::max(batch_bytes_, least), Batch::no_reactor));
  return *batches_[in_use_++];
}

std::byte* OfflineFlush::allocate_row(std::uint64_t /*device_hash*/, std::uint32_t tuple_bytes) {
  return batch_for(row_bytes(tuple_bytes)).append(0, 0, tuple_bytes);
}

void OfflineFlush::score() {
  if (in_use_ == 0) return;
  std::vector<Batch*> batches;
  for (std::size_t batch = 0; batch < in_use_; ++batch) batches.push_back(batches_[batch].get());
  flush_.assign(batches);
  scorer_.start();
  for (const SchemaPointer& schema : schemas_) {
    const auto rows = flush_.rows(schema->index());
    if (!rows.empty() && scorer_.scores(schema->index())) scorer_.score(schema->index(), rows);
  }
  // Choosing what to save is what lets devices beyond the bound go.
  static_cast<void>(scorer_.states_to_save());
  scorer_.commit();
}

void OfflineFlush::clear() noexcept {
  for (std::size_t batch = 0; batch < in_use_; ++batch) batches_[batch]->reset();
  in_use_ = 0;
}

}  // namespace wellhead
