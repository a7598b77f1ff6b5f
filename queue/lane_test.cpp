#include "queue/lane.hpp"

#include <gtest/gtest.h>

#include <array>

namespace wellhead {
namespace {

constexpr std::array<OldLane, 2> old_lanes{{
    {.lane = {.epoch = 2, .reactor = 0, .shard = 5}, .first = 9, .last = 12},
    {.lane = {.epoch = 1, .reactor = 1, .shard = 0}, .first = 1, .last = 3},
}};

TEST(LaneBoard, FindsLanesOfThisEpochAndOfEarlierOnes) {
  LaneBoard board(3, 2, 4, old_lanes);
  EXPECT_EQ(board.find({.epoch = 3, .reactor = 1, .shard = 3}), &board.at(1, 3));
  ASSERT_NE(board.find(old_lanes[0].lane), nullptr);
  EXPECT_EQ(board.find(old_lanes[0].lane)->durable.load(), 12U);
  EXPECT_EQ(board.find(old_lanes[1].lane)->durable.load(), 3U);
}

TEST(LaneBoard, DoesNotKnowOtherLanes) {
  LaneBoard board(3, 2, 4, old_lanes);
  EXPECT_EQ(board.find({.epoch = 3, .reactor = 2, .shard = 0}), nullptr);
  EXPECT_EQ(board.find({.epoch = 3, .reactor = 0, .shard = 4}), nullptr);
  EXPECT_EQ(board.find({.epoch = 2, .reactor = 0, .shard = 4}), nullptr);
  EXPECT_EQ(board.find({.epoch = 4, .reactor = 0, .shard = 0}), nullptr);
}

TEST(LaneBoard, GivesLanesOfMoreShardsToTheFewerOfToday) {
  LaneBoard board(3, 1, 4, old_lanes);
  EXPECT_EQ(board.shard_of(old_lanes[0].lane), 1U);
  EXPECT_LT(board.old()[0].lane, board.old()[1].lane);
}

}  // namespace
}  // namespace wellhead
