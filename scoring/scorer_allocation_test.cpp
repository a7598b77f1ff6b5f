// Scoring allocates nothing for a row in the steady state, shown by counting every allocation of this
// program; and a million devices take the memory that is said.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "base/testing/allocation_count.hpp"
#include "scoring/scorer.hpp"
#include "scoring/test_support.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t field_count = 8;
constexpr std::size_t gibibyte = std::size_t{1} << 30;

test::Rows flush_of(int devices, int flush) {
  std::mt19937 random(static_cast<std::uint32_t>(flush));
  std::normal_distribution<float> normal(70, 1);
  test::Rows rows;
  for (int device = 0; device < devices; ++device)
    for (int reading = 0; reading < 10; ++reading) {
      test::Values values(field_count);
      for (auto& value : values)
        if (random() % 20 != 0) value = normal(random);
      rows.add("well-" + std::to_string(device), test::start_us + (flush * 10 + reading) * test::second_us,
               values);
    }
  return rows;
}

TEST(scorer_allocation, flushes_of_known_devices_allocate_nothing) {
  const std::vector<SchemaPointer> schemas{test::compile(test::watched_stream(field_count))};
  std::array<StreamScores, 1> stats;
  Scorer scorer(schemas, {}, stats);
  std::vector<DeviceName> unknown;
  std::size_t allocated = 0;
  for (int flush = 0; flush < 30; ++flush) {
    const test::Rows rows = flush_of(200, flush);
    const auto sorted = rows.sorted();
    const std::size_t before = testing::allocation_count();
    scorer.start();
    scorer.find_unknown(0, sorted, unknown);
    scorer.score(0, sorted);
    static_cast<void>(scorer.states_to_save());
    if (flush % 3 == 2)
      scorer.discard();
    else
      scorer.commit();
    if (flush >= 5) allocated += testing::allocation_count() - before;
  }
  EXPECT_EQ(scorer.devices(), 200U);
  EXPECT_EQ(allocated, 0U);
}

TEST(scorer_allocation, is_counted_where_it_happens) {
  const std::size_t before = testing::allocation_count();
  const auto memory = std::make_unique<std::string>(100, 'x');
  EXPECT_GT(testing::allocation_count(), before);
}

// Of this process; 0 where the system does not say.
std::size_t resident_bytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  unsigned long pages = 0, resident = 0;
  const int read = std::fscanf(file, "%lu %lu", &pages, &resident);
  std::fclose(file);
  return read == 2 ? resident * 4096 : 0;
}

TEST(scorer_memory, a_million_devices_take_less_than_a_gibibyte_and_what_is_said) {
  constexpr int device_count = 1'000'000;
  constexpr int flush_devices = 10'000;
  const std::vector<SchemaPointer> schemas{test::compile(test::watched_stream(field_count))};
  std::array<StreamScores, 1> stats;
  Scorer scorer(schemas, {.devices_max = device_count}, stats);
  test::Rows rows;
  for (int device = 0; device < flush_devices; ++device)
    rows.add("field-7-well-00000000", test::start_us, test::Values(field_count, 70.0F));
  const auto sorted = rows.sorted();
  const std::size_t before = resident_bytes();
  ASSERT_GT(before, 0U);
  for (int device = 0; device < device_count; ++device) {
    if (device % flush_devices == 0) scorer.start();
    const auto& row = sorted[static_cast<std::size_t>(device % flush_devices)];
    auto* const header = const_cast<RowHeader*>(row.header);
    // The name lies behind the tuple's count of fields and its own length.
    char number[16];
    std::snprintf(number, sizeof(number), "%08d", device);
    std::memcpy(reinterpret_cast<char*>(header + 1) + 6 + 13, number, 8);
    header->device_hash = 0x9e3779b97f4a7c15 * static_cast<std::uint64_t>(device + 1);
    scorer.score(0, {&row, 1});
    if (device % flush_devices == flush_devices - 1) {
      static_cast<void>(scorer.states_to_save());
      scorer.commit();
    }
  }
  ASSERT_EQ(scorer.devices(), static_cast<std::size_t>(device_count));
  const std::size_t measured = resident_bytes() - before;
  const std::size_t said = scorer.memory_bytes();
  std::printf("%d devices: %zu MiB measured, %zu MiB said, %zu bytes a device\n", device_count,
              measured >> 20, said >> 20, said / device_count);
  EXPECT_LT(said, gibibyte);
#if !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)  // whose own memory counts as the process's
  EXPECT_LT(measured, gibibyte);
  EXPECT_NEAR(static_cast<double>(measured), static_cast<double>(said), 0.05 * static_cast<double>(said));
#endif
}

}  // namespace
}  // namespace wellhead
