#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "codec/decoder.hpp"
#include "codec/quality.hpp"
#include "engine/file_scorer.hpp"
#include "engine/offline_flush.hpp"
#include "engine/rescore_report.hpp"
#include "engine/stored_rules.hpp"

namespace wellhead {
namespace {

constexpr std::int64_t us_per_second = 1'000'000;

StreamConfig telemetry() {
  const auto streams = builtin_streams();
  return *std::ranges::find(streams, "telemetry", &StreamConfig::name);
}

SchemaPointer compile(const StreamConfig& config) {
  return Schema::compile(config, 0).value();
}

// The flags of one record as decoded under `before`, and then looked at again by `after`.
std::pair<std::uint64_t, std::uint64_t> flags_of(const std::string& record, const StreamConfig& before,
                                                 const StreamConfig& after, std::int64_t age_s = 0) {
  const SchemaPointer schema = compile(before);
  OfflineFlush rows({schema}, 64U << 10, 10);
  Decoder decoder({});
  RecordErrors errors;
  const std::int64_t received_us = 800'000'000 * us_per_second;
  std::string text =
      fmt::format(R"({{"timestamp":{},"device_id":"a",{}}})", 946'684'800 + 800'000'000 - age_s, record);
  const std::size_t bytes = text.size();
  text.reserve(bytes + input_padding_bytes);
  const auto decoded = decoder.decode(
      {.schema = *schema, .body = std::string_view(text.data(), bytes), .receive_time_us = received_us}, rows,
      errors);
  EXPECT_EQ(decoded.accepted, 1) << text;
  std::pair<std::uint64_t, std::uint64_t> flags;
  const auto all = [](const RowHeader& row) {
    return quality_flags(row.quality_reasons, row.quality_missing, row.quality_out_of_range);
  };
  rows.for_each([&](const RowHeader& row) {
    flags.first = all(row);
    StoredRules(*compile(after)).apply(const_cast<RowHeader&>(row));  // the flush's own memory
    flags.second = all(row);
  });
  return flags;
}

TEST(stored_rules, find_what_the_decoder_found_while_rules_are_the_same) {
  for (const auto& [record, age_s] :
       {std::pair{R"("temperature":60,"vibration":1,"pressure":2,"flow_rate":3)", 0},
        std::pair{R"("temperature":500,"vibration":-1,"pressure":2)", 600},
        std::pair{R"("temperature":212,"temperature_unit":"F")", 300},
        std::pair{R"("rpm":-1,"flow_rate":null)", -600}}) {
    const auto [before, after] = flags_of(record, telemetry(), telemetry(), age_s);
    EXPECT_EQ(before, after) << record;
  }
}

TEST(stored_rules, look_at_ranges_primary_fields_and_lateness_anew) {
  StreamConfig narrow = telemetry();
  std::ranges::find(narrow.columns, "temperature", &ColumnConfig::name)->maximum = 50;
  std::ranges::find(narrow.columns, "rpm", &ColumnConfig::name)->primary = true;
  narrow.scoring.late_after_s = 10;
  const auto [before, after] =
      flags_of(R"("temperature":60,"vibration":1,"pressure":2,"flow_rate":3)", telemetry(), narrow, 20);
  EXPECT_EQ(before, 0);
  EXPECT_EQ(after, quality_flags(quality_bit(QualityReason::late), 1U << 5, 1));
  const auto [strict, wide] = flags_of(
      R"("temperature":60,"vibration":1,"pressure":2,"flow_rate":3)",
      [&] {
        StreamConfig kept = narrow;
        std::ranges::find(kept.columns, "temperature", &ColumnConfig::name)->out_of_range = OutOfRange::keep;
        return kept;
      }(),
      telemetry(), 20);
  EXPECT_EQ(strict, after);
  EXPECT_EQ(wide, 0);
}

TEST(stored_rules, leave_a_value_that_was_made_null_out_of_range) {
  StreamConfig wide = telemetry();
  std::ranges::find(wide.columns, "temperature", &ColumnConfig::name)->maximum = 1000;
  const auto [before, after] =
      flags_of(R"("temperature":500,"vibration":1,"pressure":2,"flow_rate":3)", telemetry(), wide);
  EXPECT_EQ(before, quality_flags(quality_bit(QualityReason::repaired), 0, 1));
  EXPECT_EQ(after, before);
}

TEST(rescore_report, counts_a_row_once_for_each_way_it_differs) {
  RescoreReport report;
  report.note({"a", 0, {1.0, false, 0}, {1.0, false, 0}});
  report.note({"b", 0, {1.0, false, 0}, {0.75, false, std::uint64_t{1} << quality_out_of_range_shift}});
  report.note({"c", 0, {0.9, true, 1}, {1.0, false, 0}});
  // As the table has it, in single precision.
  report.note({"d", 0, {static_cast<double>(0.85F), false, 0}, {0.85, false, 0}});
  EXPECT_EQ(report.compared, 4);
  EXPECT_EQ(report.changed, 2);
  EXPECT_EQ(report.score_changed, 2);
  EXPECT_EQ(report.anomaly_changed, 1);
  EXPECT_EQ(report.flags_changed, 2);
  EXPECT_EQ(report.score_changes[22], 1);
  EXPECT_EQ(report.score_changes[15], 1);
  EXPECT_EQ(report.gained[quality_out_of_range_shift], 1);
  EXPECT_EQ(report.lost[0], 1);
  const std::string text = print_rescore(*compile(telemetry()), report, false);
  EXPECT_NE(text.find("out_of_range:temperature"), std::string::npos) << text;
  EXPECT_NE(text.find("no anomaly any more"), std::string::npos) << text;
  EXPECT_NE(text.find("nothing was written"), std::string::npos) << text;
}

TEST(offline_flush, takes_rows_longer_than_its_batches) {
  const SchemaPointer schema = compile(telemetry());
  OfflineFlush rows({schema}, Batch::alignment, 10);
  EXPECT_NE(rows.allocate_row(1, 100'000), nullptr);
  EXPECT_NE(rows.allocate_row(1, 100), nullptr);
  rows.clear();
  EXPECT_NE(rows.allocate_row(1, 100), nullptr);
  EXPECT_NE(rows.allocate_row(1, 100'000), nullptr);
}

}  // namespace
}  // namespace wellhead
