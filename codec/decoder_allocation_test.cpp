// The accept path allocates nothing: shown by counting every allocation of this program.
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "codec/test_support.hpp"

namespace {

std::atomic<std::size_t> allocation_count{0};

}  // namespace

// Not inlined: the compiler would see free() for what it believes came from its own operator new.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) std::abort();
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes == 0 ? 1 : bytes);
}
// NOLINTBEGIN(clang-analyzer-cplusplus.NewDelete): the analyzer takes this for a second delete of what these
// free
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
// NOLINTEND(clang-analyzer-cplusplus.NewDelete)

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
  const std::size_t before = allocation_count.load();
  const std::uint32_t accepted = decode_both();
  const std::size_t after = allocation_count.load();
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
  const std::size_t before = allocation_count.load();
  const std::uint32_t again = repaired();
  const std::size_t after = allocation_count.load();
  EXPECT_EQ(again, 1000U);
  EXPECT_EQ(after - before, 0U);
}

TEST(decoder_allocation, is_counted_where_it_happens) {
  const std::size_t before = allocation_count.load();
  const auto memory = std::make_unique<std::string>(100, 'x');
  EXPECT_GT(allocation_count.load(), before);
}

}  // namespace
}  // namespace wellhead
