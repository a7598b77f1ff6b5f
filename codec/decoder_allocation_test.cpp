// The accept path allocates nothing: shown by counting every allocation of this program.
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>

#include "base/testing/allocation_count.hpp"
#include "codec/test_support.hpp"

namespace wellhead {
namespace {

class FixedSink final : public RowSink {
 public:
  std::byte* allocate_row(std::uint64_t, std::uint32_t tuple_bytes) override {
    return row_bytes(tuple_bytes) <= sizeof(memory_) ? memory_ : nullptr;
  }

 private:
  alignas(row_alignment) std::byte memory_[4096];
};

TEST(decoder_allocation, accepted_records_allocate_nothing) {
  const SchemaPointer telemetry = test::builtin("telemetry");
  const SchemaPointer diagnostics = test::builtin("diagnostic_results");
  const std::string reading =
      R"({"timestamp":"2024-05-01T11:59:58.5Z","device_id":"well-\u00377","temperature":68.25,"temperature_unit":"F",)"
      R"("vibration":0.25,"pressure":1500.125,"unknown":{"a":[1,"\n"]},"long unknown key with \"escapes\"":null})";
  const std::string result =
      R"({"id":1,"well_id":"w","timestamp":1714564800.5,"severity":"info","details":{"a":[1.5,"\u00e9"]}})";
  std::string readings, array = "[";
  for (int record = 0; record < 1000; ++record) readings += reading + "\n";
  for (int record = 0; record < 1000; ++record) array += (record > 0 ? "," : "") + result;
  const test::PaddedBody lines(readings);
  const test::PaddedBody elements(array + "]");
  Decoder decoder({});
  FixedSink rows;
  RecordErrors errors;
  const auto decode_both = [&] {
    const auto first = decoder.decode(
        {.schema = *telemetry, .body = lines.text(), .receive_time_us = test::receive_time_us}, rows, errors);
    const auto second = decoder.decode(
        {.schema = *diagnostics, .body = elements.text(), .receive_time_us = test::receive_time_us}, rows,
        errors);
    return first.accepted + second.accepted;
  };
  ASSERT_EQ(decode_both(), 2000U);  // after this the decoder has seen its largest body
  const std::size_t before = testing::allocation_count();
  const std::uint32_t accepted = decode_both();
  const std::size_t after = testing::allocation_count();
  EXPECT_EQ(accepted, 2000U);
  EXPECT_EQ(after - before, 0U);
}

TEST(decoder_allocation, repaired_records_allocate_nothing_where_no_letter_is_wanted) {
  const SchemaPointer telemetry = test::builtin("telemetry");
  std::string readings;
  for (int record = 0; record < 1000; ++record)
    readings +=
        R"({"timestamp":"2024-05-01T11:50:00Z","device_id":"well-7","temperature":1e300,"pressure":-3.5,"rpm":-1})"
        "\n";
  const test::PaddedBody lines(readings);
  Decoder decoder({});
  FixedSink rows;
  RecordErrors errors;
  const auto repaired = [&] {
    return decoder
        .decode({.schema = *telemetry, .body = lines.text(), .receive_time_us = test::receive_time_us}, rows,
                errors)
        .repaired;
  };
  ASSERT_EQ(repaired(), 1000U);
  const std::size_t before = testing::allocation_count();
  const std::uint32_t again = repaired();
  const std::size_t after = testing::allocation_count();
  EXPECT_EQ(again, 1000U);
  EXPECT_EQ(after - before, 0U);
}

TEST(decoder_allocation, is_counted_where_it_happens) {
  const std::size_t before = testing::allocation_count();
  const auto memory = std::make_unique<std::string>(100, 'x');
  EXPECT_GT(testing::allocation_count(), before);
}

}  // namespace
}  // namespace wellhead
