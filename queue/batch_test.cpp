#include "queue/batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace wellhead {
namespace {

constexpr std::size_t capacity_bytes = 8192;

void append_row(Batch& batch, std::uint32_t request, std::uint32_t tuple_bytes, std::int64_t time_us) {
  std::byte* at = batch.append(request, 0, tuple_bytes);
  const RowHeader header{
      .device_hash = request, .time_us = time_us, .tuple_bytes = tuple_bytes, .record_index = 0, .stream = 0};
  std::memcpy(at, &header, sizeof header);
  std::memset(at + sizeof header, static_cast<int>(time_us), tuple_bytes);
}

TEST(Batch, RowsComeBackInTheOrderTheyWereAppended) {
  Batch batch(capacity_bytes, 3);
  for (std::uint32_t row = 0; row < 20; ++row) append_row(batch, row / 5, row + 1, row);
  std::uint32_t seen = 0;
  for_each_row(batch, [&](const RowHeader& header, std::span<const std::byte> tuple, std::uint32_t row) {
    EXPECT_EQ(row, seen);
    EXPECT_EQ(header.time_us, seen);
    EXPECT_EQ(tuple.size(), seen + 1);
    EXPECT_EQ(tuple.back(), std::byte(seen));
    ++seen;
  });
  EXPECT_EQ(seen, 20U);
  EXPECT_EQ(batch.reactor(), 3U);
}

TEST(Batch, ConsecutiveRowsOfARequestShareAClaim) {
  Batch batch(capacity_bytes, 0);
  for (const std::uint32_t request : {7U, 7U, 9U, 7U}) append_row(batch, request, 8, 0);
  ASSERT_EQ(batch.claims().size(), 3U);
  EXPECT_EQ(batch.claims()[0].row_count, 2U);
  EXPECT_EQ(batch.claims()[1].request_slot, 9U);
  EXPECT_EQ(batch.claims()[2].first_row, 3U);
}

TEST(Batch, RewindTakesBackRowsAndTheGrowthOfTheLastClaim) {
  Batch batch(capacity_bytes, 0);
  append_row(batch, 1, 16, 1);
  append_row(batch, 1, 16, 2);
  const BatchMark mark = batch.mark();
  const std::size_t bytes = batch.bytes();
  append_row(batch, 1, 16, 3);
  append_row(batch, 2, 16, 4);
  batch.rewind(mark);
  EXPECT_EQ(batch.row_count(), 2U);
  EXPECT_EQ(batch.bytes(), bytes);
  ASSERT_EQ(batch.claims().size(), 1U);
  EXPECT_EQ(batch.claims()[0].row_count, 2U);
}

TEST(Batch, IsFullWhenTheNextRowWouldCrossItsEnd) {
  Batch batch(4096, 0);
  const std::size_t bytes = row_bytes(96);
  std::size_t rows = 0;
  while (batch.fits(bytes)) {
    append_row(batch, 0, 96, 0);
    ++rows;
  }
  EXPECT_EQ(rows, (4096 - Batch::header_room_bytes) / bytes);
  batch.reset();
  EXPECT_TRUE(batch.empty());
  EXPECT_TRUE(batch.fits(4096 - Batch::header_room_bytes));
  EXPECT_FALSE(batch.fits(4096 - Batch::header_room_bytes + 1));
}

TEST(Batch, ItsSectionIsPaddedWithZerosAndComesBackTheSame) {
  Batch written(capacity_bytes, 0);
  std::ranges::fill(written.memory(), std::byte{0xAA});
  for (std::uint32_t row = 0; row < 20; ++row) append_row(written, 1, 16, row);
  const std::span<std::byte> section = written.section();
  ASSERT_EQ(section.size() % Batch::alignment, 0U);
  const std::size_t used = Batch::header_room_bytes + written.bytes();
  for (std::size_t at = used; at < section.size(); ++at) EXPECT_EQ(section[at], std::byte{0});

  Batch read(capacity_bytes, Batch::no_reactor);
  std::ranges::copy(section, read.memory().begin());
  read.adopt(written.bytes(), written.row_count());
  EXPECT_TRUE(std::ranges::equal(read.rows(), written.rows()));
  EXPECT_EQ(read.row_count(), written.row_count());
}

TEST(Batch, ResetForgetsTheLaneAndWhoWaits) {
  Batch batch(capacity_bytes, 0);
  batch.set_lane({.epoch = 2, .reactor = 0, .shard = 1}, 7);
  batch.set_must_return();
  batch.reset();
  EXPECT_EQ(batch.lane(), LaneId{});
  EXPECT_EQ(batch.lane_sequence(), 0U);
  EXPECT_FALSE(batch.must_return());
}

}  // namespace
}  // namespace wellhead
