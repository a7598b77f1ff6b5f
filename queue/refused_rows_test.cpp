#include "queue/refused_rows.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace wellhead {
namespace {

constexpr LaneId lane{.epoch = 3, .reactor = 1, .shard = 2};
constexpr LaneId other_lane{.epoch = 3, .reactor = 1, .shard = 3};

TEST(RefusedRows, CountsTheRowsOfARangeAndNoOthers) {
  RefusedRows refused;
  for (const std::uint32_t row : {4U, 5U, 9U, 10U}) refused.add(lane, 7, row);
  refused.add(lane, 8, 5);
  refused.add(other_lane, 7, 5);
  EXPECT_EQ(refused.count(lane, 7, 5, 5), 2U) << "5 and 9";
  EXPECT_EQ(refused.count(lane, 7, 0, UINT32_MAX), 4U);
  EXPECT_EQ(refused.count(lane, 7, 6, 3), 0U);
  EXPECT_EQ(refused.count(lane, 6, 0, 100), 0U);
}

TEST(RefusedRows, KnowsARowOnce) {
  RefusedRows refused;
  refused.add(lane, 7, 5);
  refused.add(lane, 7, 5);
  EXPECT_EQ(refused.count(lane, 7, 0, 100), 1U);
  EXPECT_EQ(refused.size(), 1U);
}

TEST(RefusedRows, ForgetsTheOldestPastItsBound) {
  RefusedRows refused(3);
  for (std::uint32_t row = 0; row < 5; ++row) refused.add(lane, 7, row);
  EXPECT_EQ(refused.size(), 3U);
  EXPECT_EQ(refused.count(lane, 7, 0, 2), 0U);
  EXPECT_EQ(refused.count(lane, 7, 2, 3), 3U);
}

TEST(RefusedRows, ManyThreadsMayAddAndCount) {
  RefusedRows refused;
  constexpr std::uint32_t rows_each = 2'000;
  {
    std::vector<std::jthread> shards;
    for (std::uint32_t shard = 0; shard < 4; ++shard)
      shards.emplace_back([&refused, shard] {
        for (std::uint32_t row = 0; row < rows_each; ++row) {
          refused.add({1, 0, shard}, 1, row);
          EXPECT_EQ(refused.count({1, 0, shard}, 1, 0, rows_each), row + 1);
        }
      });
  }
  EXPECT_EQ(refused.size(), 4U * rows_each);
}

}  // namespace
}  // namespace wellhead
