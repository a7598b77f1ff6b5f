#include "sink/flush.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <random>

#include "sink/chunk_guard.hpp"
#include "sink/test_rows.hpp"

namespace wellhead {
namespace {

struct Expected {
  std::string device;
  std::int64_t time_us;
  std::size_t batch;
  std::uint32_t row;
};

TEST(FlushTest, sorts_random_rows_as_a_stable_sort_by_device_and_falling_time_does) {
  const unsigned seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  const auto pick = [&random](int below) { return std::uniform_int_distribution<int>(0, below - 1)(random); };
  Flush flush(test::shipped_schemas());
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    const int devices = 1 + pick(round % 2 == 0 ? 5 : 3'000);
    const int times = 1 + pick(round % 3 == 0 ? 4 : 1'000'000);
    std::vector<std::unique_ptr<Batch>> owned;
    std::vector<Batch*> batches;
    std::vector<std::vector<Expected>> expected(3);
    for (int batch = 0, count = pick(6); batch < count; ++batch) {
      owned.push_back(test::make_batch());
      batches.push_back(owned.back().get());
      for (int row = 0, rows = pick(1'000); row < rows; ++row) {
        // Of different lengths, so that order by text is not order by number.
        std::string device = "well-" + std::to_string(pick(devices));
        // Alike for longer than what is compared at once, with bytes above those of ASCII, or almost empty.
        if (round % 5 == 1)
          device += "-of-the-north-field-" + std::string(static_cast<std::size_t>(pick(3)), '\xc3') +
                    std::to_string(pick(2));
        if (round % 5 == 2) device.erase(0, static_cast<std::size_t>(pick(6)));
        // Rising, falling and any order.
        const int step = round % 4 == 0 ? row : round % 4 == 1 ? -row : pick(times);
        const std::int64_t time = test::base_time_us + step;
        const auto stream = static_cast<std::uint16_t>(pick(10) == 0 ? 1 : 0);
        expected[stream].push_back(
            {device, time, static_cast<std::size_t>(batch), batches.back()->row_count()});
        if (stream == 0)
          test::add_telemetry(*batches.back(), device, time, 1);
        else
          test::add_esp(*batches.back(), row, device, time);
      }
    }
    flush.assign(batches);
    for (std::size_t stream = 0; stream < 3; ++stream) {
      std::ranges::stable_sort(expected[stream], [](const Expected& left, const Expected& right) {
        if (left.device != right.device) return left.device < right.device;
        return left.time_us > right.time_us;
      });
      const auto rows = flush.rows(stream);
      ASSERT_EQ(rows.size(), expected[stream].size());
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const Expected& wanted = expected[stream][row];
        ASSERT_EQ(rows[row].time_us, wanted.time_us);
        ASSERT_EQ(field_of(*rows[row].header, 1), wanted.device);
        const Flush::Place place = flush.place_of(rows[row].arrival);
        ASSERT_EQ(place.batch, wanted.batch);
        ASSERT_EQ(place.row, wanted.row);
      }
    }
  }
}

TEST(FlushTest, finds_a_field_behind_nulls_and_empty_texts) {
  auto batch = test::make_batch();
  test::Tuple tuple;
  tuple.null().text("").text("third").real(1);
  test::add_row(*batch, 0, "device", 0, tuple);
  const auto* header = reinterpret_cast<const RowHeader*>(batch->rows().data());
  EXPECT_EQ(field_of(*header, 0), "");
  EXPECT_EQ(field_of(*header, 1), "");
  EXPECT_EQ(field_of(*header, 2), "third");
  EXPECT_EQ(field_of(*header, 3).size(), 4U);
}

TEST(ChunkGuardTest, knows_only_the_hours_of_flushes_that_committed) {
  constexpr std::int64_t hour_us = 3'600'000'000;
  Flush flush(test::shipped_schemas());
  ChunkGuard guard;
  const auto ask = [&](std::vector<std::int64_t> times) {
    auto batch = test::make_batch();
    for (const std::int64_t time : times) test::add_telemetry(*batch, "well-1", time, 1);
    Batch* const batches[] = {batch.get()};
    flush.assign(batches);
    return guard.knows(flush);
  };
  EXPECT_FALSE(ask({test::base_time_us}));
  EXPECT_FALSE(ask({test::base_time_us}));  // it was not committed
  guard.remember();
  EXPECT_TRUE(ask({test::base_time_us, test::base_time_us + hour_us - 1}));
  EXPECT_FALSE(ask({test::base_time_us, test::base_time_us + hour_us}));
  EXPECT_FALSE(ask({test::base_time_us - 1}));
  EXPECT_FALSE(ask({-1}));
  guard.remember();
  EXPECT_FALSE(ask({0}));  // before and after 2000-01-01 are two hours
  EXPECT_TRUE(ask({-hour_us}));
  guard.forget();
  EXPECT_FALSE(ask({test::base_time_us}));
}

TEST(ChunkGuardTest, asks_for_the_lock_only_where_a_stretch_it_does_not_know_has_no_chunk) {
  Flush flush(test::shipped_schemas());
  ChunkGuard guard;
  const auto statement_for = [&](std::int64_t first_us, std::int64_t count) {
    auto batch = test::make_batch();
    for (std::int64_t hour = 0; hour < count; ++hour)
      test::add_telemetry(*batch, "well-1", first_us + hour * 3'600'000'000, 1);
    Batch* const batches[] = {batch.get()};
    flush.assign(batches);
    return guard.knows(flush) ? std::string() : guard.lock_statement(test::shipped_schemas());
  };
  const std::string statement = statement_for(test::base_time_us, 1);
  EXPECT_TRUE(statement.starts_with("SELECT pg_advisory_xact_lock(2003135596, 1) WHERE EXISTS")) << statement;
  // 2026-01-01 as chunks count, in microseconds since 1970.
  EXPECT_NE(statement.find("('\"telemetry\"', 1767225600000000, 1767229200000000)"), std::string::npos)
      << statement;
  guard.remember();
  EXPECT_EQ(statement_for(test::base_time_us, 1), "");
  EXPECT_NE(statement_for(-1, 1).find(", 946681200000000, 946684800000000)"), std::string::npos);
  EXPECT_EQ(statement_for(test::base_time_us + 1'000 * 3'600'000'000, 300),
            "SELECT pg_advisory_xact_lock(2003135596, 1); ")
      << "so many are taken for new without a look";
}

}  // namespace
}  // namespace wellhead
