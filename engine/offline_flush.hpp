// Rows scored outside of a node: the decoder or a journal fills it, the scorer judges it as it would a
// shard's flush, and no database is asked.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "codec/row.hpp"
#include "codec/schema.hpp"
#include "queue/batch.hpp"
#include "scoring/scorer.hpp"
#include "sink/flush.hpp"

namespace wellhead {

// One thread. Memory: as much as the largest flush took, and the devices.
class OfflineFlush final : public RowSink {
 public:
  // Rows of `schemas`, schemas[i]->index() being i. `devices_max` bounds the devices that are known at a
  // time: the least recently seen are forgotten.
  OfflineFlush(std::vector<SchemaPointer> schemas, std::size_t batch_bytes, std::size_t devices_max);

  // Never null.
  [[nodiscard]] std::byte* allocate_row(std::uint64_t device_hash, std::uint32_t tuple_bytes) override;

  // Writes score, anomaly flag and quality flags into all rows, and learns from them.
  void score();
  // Visits the rows in the order they came in: visit(const RowHeader&).
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t batch = 0; batch < in_use_; ++batch)
      for_each_row(*batches_[batch], [&](const RowHeader& header, auto, auto) { visit(header); });
  }
  // Ready for the next rows; the devices stay known.
  void clear() noexcept;

 private:
  Batch& batch_for(std::size_t bytes);

  std::vector<SchemaPointer> schemas_;
  std::size_t batch_bytes_;
  std::vector<StreamScores> stats_;
  Scorer scorer_;
  Flush flush_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::size_t in_use_ = 0;
};

}  // namespace wellhead
