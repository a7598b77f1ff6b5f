#include "engine/cores.hpp"

#include <gtest/gtest.h>

namespace wellhead {
namespace {

TEST(Cores, ASmallMachineGetsOneReactorAndTwoShards) {
  for (const std::uint32_t cores : {1U, 2U, 3U}) {
    EXPECT_EQ(automatic_reactors(cores), 1U) << cores;
    EXPECT_EQ(automatic_shards(cores), 2U) << cores;
  }
}

TEST(Cores, ALargeMachineGetsAQuarterOfItsCoresAsReactorsAndHalfAsShards) {
  EXPECT_EQ(automatic_reactors(64), 16U);
  EXPECT_EQ(automatic_shards(64), 32U);
  EXPECT_EQ(automatic_reactors(8), 2U);
  EXPECT_EQ(automatic_shards(8), 4U);
}

TEST(Cores, ThisProcessMayUseAtLeastOneCoreAndNoMoreThanItsProcessors) {
  EXPECT_GE(usable_cores(), 1U);
  EXPECT_LE(usable_cores(), allowed_processors().size());
}

}  // namespace
}  // namespace wellhead
