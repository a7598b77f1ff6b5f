// Rows as a flush gets them: 10,000 of a stream with eight scored fields, in batches, from devices that take
// turns.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "queue/batch.hpp"
#include "sink/flush.hpp"

namespace wellhead::bench {

class FlushRows {
 public:
  static constexpr std::uint32_t row_count = 10'000;

  // REQUIRES that row_count is a multiple of `devices`.
  explicit FlushRows(std::uint32_t devices);

  // Sorts the rows, as each flush does.
  std::span<const SortedRow> assign();
  // REQUIRES assign(). Makes the rows as much later as they span, so that they are the next flush's.
  void pass_time();

  [[nodiscard]] std::span<const SchemaPointer> schemas() const { return schemas_; }
  [[nodiscard]] std::span<Batch* const> batches() const { return pointers_; }

 private:
  std::vector<SchemaPointer> schemas_;
  Flush flush_;
  std::uint32_t rows_per_device_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::vector<Batch*> pointers_;
};

}  // namespace wellhead::bench
