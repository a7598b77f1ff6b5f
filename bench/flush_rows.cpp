#include "bench/flush_rows.hpp"

#include <cstring>
#include <random>
#include <string>

#include "base/assert.hpp"
#include "scoring/test_support.hpp"

namespace wellhead::bench {
namespace {

constexpr std::uint32_t field_count = 8;
constexpr std::uint32_t batch_count = 4;

void append(Batch& batch, const RowHeader& header) {
  WELLHEAD_ASSERT(batch.fits(row_bytes(header.tuple_bytes)));
  std::memcpy(batch.append(1, 1, header.tuple_bytes), &header, sizeof(header) + header.tuple_bytes);
}

}  // namespace

FlushRows::FlushRows(std::uint32_t devices)
    : schemas_{test::compile(test::watched_stream(field_count))},
      flush_(schemas_),
      rows_per_device_(row_count / devices) {
  std::mt19937 random(1);
  std::normal_distribution<float> noise(70, 1);
  for (std::uint32_t batch = 0; batch < batch_count; ++batch)
    batches_.push_back(std::make_unique<Batch>(4U << 20, 0));
  for (std::uint32_t row = 0; row < row_count; ++row) {
    test::Values values(field_count);
    for (auto& value : values) value = noise(random);
    test::Rows made;
    append(*batches_[row / (row_count / batch_count)],
           made.add("well-" + std::to_string(row % devices),
                    test::start_us + std::int64_t{row / devices} * test::second_us, values));
  }
  for (const auto& batch : batches_) pointers_.push_back(batch.get());
}

std::span<const SortedRow> FlushRows::assign() {
  flush_.assign(pointers_);
  return flush_.rows(0);
}

void FlushRows::pass_time() {
  for (const SortedRow& row : flush_.rows(0))
    const_cast<RowHeader*>(row.header)->time_us += std::int64_t{rows_per_device_} * test::second_us;
}

}  // namespace wellhead::bench
