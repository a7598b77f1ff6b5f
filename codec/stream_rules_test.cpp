#include "codec/stream_rules.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "codec/decoder.hpp"
#include "codec/test_support.hpp"

namespace wellhead {
namespace {

StreamConfig with_maximum(double maximum) {
  ColumnConfig value{.name = "value", .type = ColumnType::real, .maximum = maximum};
  value.out_of_range = OutOfRange::reject;
  StreamConfig config = test::stream_with(value);
  config.attributes.file = "devices.csv";
  config.columns.push_back({.name = "site", .type = ColumnType::text, .source = ColumnSource::attribute});
  return config;
}

SchemaPointer compiled(StreamConfig config) {
  auto schema = Schema::compile(std::move(config), 0);
  EXPECT_TRUE(schema) << schema.error();
  return *schema;
}

std::shared_ptr<const DeviceAttributes> site(std::string_view name) {
  AttributesBuilder builder(with_maximum(1));
  EXPECT_TRUE(builder.add("d", std::array{name}));
  return builder.finish();
}

struct Request {
  Decoder decoder{DecoderLimits{}};
  test::PaddedBody body{test::record_with("50")};
  test::KeepingSink rows;
  RecordErrors errors;

  bool accepted(const Schema& schema) {
    return decoder
               .decode({.schema = schema, .body = body.text(), .receive_time_us = test::receive_time_us},
                       rows, errors)
               .accepted == 1;
  }
};

TEST(stream_rules, that_are_set_hold_from_the_next_request_on_and_the_schema_stays) {
  const SchemaPointer stream = compiled(with_maximum(10));
  Request request;
  EXPECT_FALSE(request.accepted(*stream));
  stream->rules().set({compiled(with_maximum(100)), nullptr});
  EXPECT_TRUE(request.accepted(*stream));
  EXPECT_EQ(stream->columns()[2].maximum, 10);  // of the start
  stream->rules().set({});
  EXPECT_FALSE(request.accepted(*stream));
}

TEST(stream_rules, of_one_stream_are_not_taken_for_those_of_another_with_its_number) {
  Request request;
  EXPECT_FALSE(request.accepted(*compiled(with_maximum(10))));
  EXPECT_TRUE(request.accepted(*compiled(with_maximum(100))));
}

TEST(stream_rules, are_freed_when_they_are_neither_in_force_nor_held) {
  const SchemaPointer stream = compiled(with_maximum(10));
  Request request;
  auto attributes = site("north");
  const std::weak_ptr<const DeviceAttributes> watched = attributes;
  stream->rules().set({compiled(with_maximum(100)), std::move(attributes)});
  EXPECT_TRUE(request.accepted(*stream));
  stream->rules().set({});
  EXPECT_FALSE(watched.expired());  // held by the decoder
  EXPECT_FALSE(request.accepted(*stream));
  EXPECT_TRUE(watched.expired());
}

TEST(stream_rules, errors_name_their_field_when_the_rules_they_broke_are_gone) {
  const SchemaPointer stream = compiled(with_maximum(1000));
  Request request;
  stream->rules().set({compiled(with_maximum(10)), nullptr});
  EXPECT_FALSE(request.accepted(*stream));
  stream->rules().set({});
  EXPECT_TRUE(request.accepted(*stream));
  ASSERT_EQ(request.errors.kept().size(), 1U);
  EXPECT_EQ(request.errors.kept()[0].field, "value");
  EXPECT_EQ(request.errors.kept()[0].field.data(), stream->columns()[2].name.data());
}

// A request is judged by one set of rules: with the range that refuses nothing goes "north", with the other
// "south".
TEST(stream_rules, are_swapped_while_others_decode_and_no_request_sees_two_of_them) {
  constexpr int swaps = 2000;
  const SchemaPointer stream = compiled(with_maximum(100));
  stream->rules().set({nullptr, site("north")});
  std::atomic<bool> done{false};
  std::atomic<int> requests{0};
  const auto decode = [&] {
    const test::PaddedBody body(test::record_with("50") + "\n" + test::record_with("5") + "\n");
    Decoder decoder({});
    while (!done.load()) {
      test::KeepingSink rows;
      RecordErrors errors;
      const auto result = decoder.decode(
          {.schema = *stream, .body = body.text(), .receive_time_us = test::receive_time_us}, rows, errors);
      const bool refuses = result.rejected == 1;
      ASSERT_EQ(result.accepted + result.rejected, 2U);
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const auto fields = test::read_tuple(rows.row(row).tuple);
        ASSERT_TRUE(fields);
        ASSERT_EQ((*fields)[3], refuses ? "south" : "north");
      }
      for (const RecordError& error : errors.kept()) ASSERT_EQ(error.field, "value");
      requests.fetch_add(1);
    }
  };
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 2; ++thread) threads.emplace_back(decode);
  for (int swap = 0; swap < swaps; ++swap) {
    if (swap % 2 == 0)
      stream->rules().set({compiled(with_maximum(10)), site("south")});
    else
      stream->rules().set({nullptr, site("north")});
    if (swap % 100 == 0) std::this_thread::yield();
  }
  while (requests.load() < 10) std::this_thread::yield();
  done = true;
}

}  // namespace
}  // namespace wellhead
