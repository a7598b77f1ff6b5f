#include "codec/dead_letter.hpp"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstring>
#include <set>

#include "base/clock.hpp"
#include "codec/decoder.hpp"
#include "codec/test_support.hpp"

namespace wellhead {
namespace {

using test::as_int32;
using test::as_int64;
using test::decode;
using test::Decoded;
using test::Fields;
using test::KeepingSink;

constexpr std::uint32_t payload_max = 32;

SchemaPointer schema_of(std::uint32_t payload_bytes_max = payload_max) {
  return Schema::compile(dead_letter_stream(payload_bytes_max), 3).value();
}

DeadLetter letter_about(std::string_view payload) {
  return {.received_us = test::receive_time_us,
          .stream = "telemetry",
          .code = "wrong_type",
          .field = "rpm",
          .message = "\"rpm\" takes a number.",
          .source = "http 127.0.0.1:8080 from 10.0.0.7:4711",
          .device_id = "well-7",
          .payload = payload,
          .payload_bytes = payload.size(),
          .record_index = 5};
}

Fields written(const DeadLetter& letter, std::uint64_t seed = 1) {
  DeadLetterWriter writer(schema_of(), "node-1", seed);
  KeepingSink rows;
  EXPECT_TRUE(writer.write(letter, rows));
  EXPECT_EQ(rows.size(), 1U);
  const auto fields = test::read_tuple(rows.row(0).tuple);
  EXPECT_TRUE(fields.has_value());
  return fields.value_or(Fields(14));
}

TEST(dead_letter, becomes_a_row_of_its_stream_with_everything_that_is_known) {
  const Fields fields = written(letter_about("{\"rpm\":\"x\"}"));
  ASSERT_EQ(fields.size(), 14U);
  EXPECT_EQ(as_int64(fields[0]), test::receive_time_us);
  EXPECT_EQ(fields[1]->size(), 16U);
  EXPECT_EQ(fields[2], "node-1");
  EXPECT_EQ(fields[3], "telemetry");
  EXPECT_EQ(fields[4], "wrong_type");
  EXPECT_EQ(fields[5], "rpm");
  EXPECT_EQ(fields[6], "\"rpm\" takes a number.");
  EXPECT_EQ(fields[7], std::nullopt);
  EXPECT_EQ(fields[8], "http 127.0.0.1:8080 from 10.0.0.7:4711");
  EXPECT_EQ(fields[9], "well-7");
  EXPECT_EQ(fields[10], "{\"rpm\":\"x\"}");
  EXPECT_EQ(as_int64(fields[11]), 11);
  EXPECT_EQ(fields[12], "original");
  EXPECT_EQ(as_int32(fields[13]), 5);
}

TEST(dead_letter, goes_to_the_shard_of_its_streams_name) {
  DeadLetterWriter writer(schema_of(), "node-1", 1);
  KeepingSink rows;
  ASSERT_TRUE(writer.write(letter_about("x"), rows));
  const RowHeader header = rows.row(0).header;
  EXPECT_EQ(header.device_hash, XXH3_64bits("telemetry", 9));
  EXPECT_EQ(rows.allocated_hash(0), header.device_hash);
  EXPECT_EQ(header.time_us, test::receive_time_us);
  EXPECT_EQ(header.stream, 3);
  EXPECT_EQ(header.kind, RowKind::dead_letter);
  EXPECT_EQ(header.record_index, 5U);
}

TEST(dead_letter, keeps_the_beginning_of_a_long_record_and_its_length) {
  DeadLetter letter = letter_about(std::string_view("0123456789012345678901234567890123456789"));
  letter.payload_bytes = 5'000'000'000;
  const Fields fields = written(letter);
  EXPECT_EQ(fields[10], "01234567890123456789012345678901");
  EXPECT_EQ(as_int64(fields[11]), 5'000'000'000);
}

TEST(dead_letter, keeps_bytes_of_any_kind) {
  const std::string bytes("\0\xff{\n", 4);
  EXPECT_EQ(written(letter_about(bytes))[10], bytes);
}

TEST(dead_letter, holds_no_text_that_the_database_would_refuse) {
  DeadLetter letter = letter_about("x");
  const std::string message("bad\0byte \xff", 10);
  letter.message = message;
  const std::string device(1'000, 'd');
  letter.device_id = device;
  const Fields fields = written(letter);
  EXPECT_EQ(fields[6],
            "bad\xEF\xBF\xBD"
            "byte \xEF\xBF\xBD");
  EXPECT_EQ(fields[9], std::string(256, 'd'));
}

TEST(dead_letter, that_tells_of_no_single_record_has_neither_payload_nor_index) {
  const Fields fields = written({.received_us = 0, .stream = "s", .code = dead_letter_summary_code});
  for (const std::size_t absent : {5U, 6U, 7U, 8U, 9U, 10U, 11U, 12U, 13U})
    EXPECT_EQ(fields[absent], std::nullopt) << absent;
}

TEST(dead_letter, has_a_version_7_uuid_that_begins_with_its_time) {
  const std::string id = written(letter_about("x")).at(1).value_or(std::string(16, '\0'));
  const std::uint64_t high = test::big_endian_number(id.substr(0, 8));
  EXPECT_EQ(high >> 16, static_cast<std::uint64_t>(test::receive_time_us + postgres_epoch_unix_us) / 1'000);
  EXPECT_EQ(high >> 12 & 0xF, 7U);
  EXPECT_EQ(test::big_endian_number(id.substr(8)) >> 62, 2U);
}

TEST(dead_letter, has_an_id_of_its_own_each_time_and_on_each_node) {
  std::set<std::string> ids;
  for (const std::uint64_t seed : {1U, 2U}) {
    DeadLetterWriter writer(schema_of(), "node", seed);
    KeepingSink rows;
    for (std::size_t count = 0; count < 5'000; ++count) {
      ASSERT_TRUE(writer.write(letter_about("x"), rows));
      ids.insert(*test::read_tuple(rows.row(count).tuple)->at(1));
    }
  }
  EXPECT_EQ(ids.size(), 10'000U);
}

TEST(dead_letter, says_so_when_there_is_no_room) {
  DeadLetterWriter writer(schema_of(), "node", 1);
  KeepingSink none(0);
  EXPECT_FALSE(writer.write(letter_about("x"), none));
}

TEST(dead_letter, of_a_refused_row_has_the_record_made_from_the_row) {
  const SchemaPointer telemetry = test::builtin("telemetry");
  const Decoded decoded = decode(*telemetry, R"({"timestamp":1714564800,"device_id":"well-9","pressure":3})");
  ASSERT_EQ(decoded.rows.size(), 1U);
  const test::StoredRow row = decoded.rows.row(0);
  DeadLetterWriter writer(schema_of(1'024), "node-1", 1);
  std::vector<std::byte> tuples;
  const std::span tuple(reinterpret_cast<const std::byte*>(row.tuple.data()), row.tuple.size());
  for (int count = 0; count < 2; ++count)
    writer.append({*telemetry, row.header, tuple, "23514", "violates check constraint"}, 77, tuples);

  const std::string_view both(reinterpret_cast<const char*>(tuples.data()), tuples.size());
  ASSERT_EQ(both.size() % 2, 0U);
  EXPECT_TRUE(test::read_tuple(both.substr(both.size() / 2)).has_value());
  const auto fields = test::read_tuple(both.substr(0, both.size() / 2));
  ASSERT_TRUE(fields.has_value());
  EXPECT_EQ(as_int64(fields->at(0)), 77);
  EXPECT_EQ(fields->at(4), "database_refused");
  EXPECT_EQ(fields->at(6), "violates check constraint");
  EXPECT_EQ(fields->at(7), "23514");
  EXPECT_EQ(fields->at(9), "well-9");
  EXPECT_EQ(fields->at(10), R"({"timestamp":"2024-05-01T12:00:00.000000Z","device_id":"well-9","pressure":3,)"
                            R"("source_system":"scada"})");
  EXPECT_EQ(fields->at(12), "row");
}

TEST(dead_letter, has_no_dead_letter_of_its_own) {
  const SchemaPointer schema = schema_of();
  std::vector<std::byte> tuple;
  DeadLetterWriter(schema, "node", 1).append(letter_about("x"), tuple);
  std::vector<std::byte> none;
  RowHeader header{};
  header.kind = RowKind::dead_letter;
  DeadLetterWriter(schema, "node", 2).append({*schema, header, tuple, "22021", "refused"}, 0, none);
  EXPECT_TRUE(none.empty());
}

TEST(dead_letter, is_made_of_a_stream_of_an_earlier_run_too) {
  StreamConfig historical = test::stream_with({});
  historical.internal = true;
  const SchemaPointer schema = test::compile(historical);
  const Decoded decoded = decode(*schema, test::record_with("1.5"));
  ASSERT_EQ(decoded.rows.size(), 1U);
  const test::StoredRow row = decoded.rows.row(0);
  std::vector<std::byte> tuple(row.tuple.size());
  std::memcpy(tuple.data(), row.tuple.data(), tuple.size());
  std::vector<std::byte> letter;
  DeadLetterWriter(schema_of(), "node", 1)
      .append({*schema, row.header, tuple, "23514", "refused"}, 0, letter);
  EXPECT_FALSE(letter.empty());
}

TEST(dead_letter, is_a_stream_no_configuration_can_have) {
  StreamConfig copied = dead_letter_stream(payload_max);
  copied.internal = false;
  const auto compiled = Schema::compile(copied, 0);
  ASSERT_FALSE(compiled.has_value());
  EXPECT_NE(compiled.error().find("no JSON value becomes uuid"), std::string::npos) << compiled.error();
}

// --- what the decoder tells of rejected records ---

struct Told {
  std::uint32_t index;
  RecordErrorCode code;
  std::string field;
  std::string message;
  std::string device_id;
  std::string text;
};

class ListeningSink final : public RowSink {
 public:
  explicit ListeningSink(std::size_t told_max) : told_max_(told_max) {}
  std::byte* allocate_row(std::uint64_t device_hash, std::uint32_t tuple_bytes) override {
    return rows_.allocate_row(device_hash, tuple_bytes);
  }
  [[nodiscard]] bool wants_rejected() const noexcept override { return told.size() < told_max_; }
  void on_rejected(const RejectedRecord& record) override {
    told.push_back({record.index, record.code, std::string(record.field), std::string(record.message),
                    std::string(record.device_id), std::string(record.text)});
  }
  std::vector<Told> told;

 private:
  KeepingSink rows_;
  std::size_t told_max_;
};

std::vector<Told> told_of(std::string_view body, BodyFormat format = BodyFormat::detect,
                          std::size_t told_max = 1'000'000, DecoderLimits limits = {}) {
  const SchemaPointer schema = test::builtin("telemetry");
  Decoder decoder(limits);
  const test::PaddedBody padded(body);
  ListeningSink sink(told_max);
  RecordErrors errors;
  const DecodeResult result = decoder.decode(
      {.schema = *schema, .body = padded.text(), .format = format, .receive_time_us = test::receive_time_us},
      sink, errors);
  EXPECT_EQ(result.status, DecodeStatus::complete);
  EXPECT_EQ(std::min<std::size_t>(result.rejected, told_max), sink.told.size());
  return sink.told;
}

constexpr std::string_view good = R"({"timestamp":1714564800,"device_id":"a"})";

TEST(rejected_records, of_an_array_are_told_with_their_own_bytes) {
  const std::string bad = R"({ "timestamp":1714564800, "device_id":"well-7", "rpm" : "fast" })";
  const auto told =
      told_of("[" + std::string(good) + ",\n  " + bad + " , " + std::string(good) + ", 7 , [1,{\"a\":2}]]");
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].index, 1U);
  EXPECT_EQ(told[0].code, RecordErrorCode::wrong_type);
  EXPECT_EQ(told[0].field, "rpm");
  EXPECT_FALSE(told[0].message.empty());
  EXPECT_EQ(told[0].device_id, "well-7");
  EXPECT_EQ(told[0].text, bad);
  EXPECT_EQ(told[1].text, "7");
  EXPECT_EQ(told[1].code, RecordErrorCode::not_an_object);
  EXPECT_EQ(told[1].device_id, "");
  EXPECT_EQ(told[2].text, "[1,{\"a\":2}]");
}

TEST(rejected_records, of_lines_are_told_with_their_line_even_when_it_is_not_json) {
  const std::string lines = std::string(good) + "\n{\"device_id\":\"cut\",\"rpm\":\n\n" + "\"\xff\"\n" +
                            std::string(good) + "\n17\n";
  const auto told = told_of(lines, BodyFormat::ndjson);
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].index, 1U);
  EXPECT_EQ(told[0].code, RecordErrorCode::malformed_json);
  EXPECT_EQ(told[0].text, "{\"device_id\":\"cut\",\"rpm\":");
  EXPECT_EQ(told[1].code, RecordErrorCode::invalid_utf8);
  EXPECT_EQ(told[1].text, "\"\xff\"");
  EXPECT_EQ(told[1].device_id, "");
  EXPECT_EQ(told[2].index, 4U);
  EXPECT_EQ(told[2].text, "17");
}

TEST(rejected_records, of_a_single_object_are_told_whole) {
  const auto told = told_of("  {\"timestamp\":1714564800,\n\"device_id\":5}\n");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].text, "{\"timestamp\":1714564800,\n\"device_id\":5}");
}

TEST(rejected_records, that_are_too_large_are_told_in_full) {
  const std::string large =
      R"({"timestamp":1714564800,"device_id":"a","note":")" + std::string(200, 'x') + "\"}";
  const DecoderLimits limits{.record_bytes_max = 100};
  for (const std::string& body : {"[" + large + "]", large + "\n" + std::string(good) + "\n"}) {
    const auto told = told_of(body, BodyFormat::detect, 10, limits);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].code, RecordErrorCode::record_too_large);
    EXPECT_EQ(told[0].text, large);
  }
}

TEST(rejected_records, are_told_no_more_than_are_wanted_each_with_its_sentence) {
  std::string lines;
  for (int count = 0; count < 500; ++count) lines += "{\"device_id\":1}\n";
  const auto told = told_of(lines, BodyFormat::ndjson, 300);
  ASSERT_EQ(told.size(), 300U);
  for (const Told& record : told) EXPECT_FALSE(record.message.empty());
}

}  // namespace
}  // namespace wellhead
