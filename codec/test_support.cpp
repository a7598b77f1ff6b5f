#include "codec/test_support.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <utility>

namespace wellhead::test {

std::uint64_t big_endian_number(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number * 256 + static_cast<unsigned char>(byte);
  return number;
}

std::optional<Fields> read_tuple(std::string_view tuple) {
  if (tuple.size() < 2) return std::nullopt;
  const auto count = static_cast<std::size_t>(big_endian_number(tuple.substr(0, 2)));
  tuple.remove_prefix(2);
  Fields fields;
  for (std::size_t index = 0; index < count; ++index) {
    if (tuple.size() < 4) return std::nullopt;
    const auto length = static_cast<std::int32_t>(big_endian_number(tuple.substr(0, 4)));
    tuple.remove_prefix(4);
    if (length == -1) {
      fields.emplace_back(std::nullopt);
      continue;
    }
    if (length < 0 || static_cast<std::size_t>(length) > tuple.size()) return std::nullopt;
    fields.emplace_back(tuple.substr(0, static_cast<std::size_t>(length)));
    tuple.remove_prefix(static_cast<std::size_t>(length));
  }
  if (!tuple.empty()) return std::nullopt;
  return fields;
}

float as_real(const std::optional<std::string>& field) {
  EXPECT_TRUE(field && field->size() == 4);
  return std::bit_cast<float>(static_cast<std::uint32_t>(big_endian_number(field.value_or(""))));
}

double as_double(const std::optional<std::string>& field) {
  EXPECT_TRUE(field && field->size() == 8);
  return std::bit_cast<double>(big_endian_number(field.value_or("")));
}

std::int64_t as_int64(const std::optional<std::string>& field) {
  EXPECT_TRUE(field && field->size() == 8);
  return static_cast<std::int64_t>(big_endian_number(field.value_or("")));
}

std::int32_t as_int32(const std::optional<std::string>& field) {
  EXPECT_TRUE(field && field->size() == 4);
  return static_cast<std::int32_t>(big_endian_number(field.value_or("")));
}

RecordErrorCode Decoded::only_error() const {
  EXPECT_EQ(rows.size(), 0U);
  EXPECT_EQ(errors.count(), 1U);
  if (errors.kept().empty()) return RecordErrorCode::database_refused;
  EXPECT_FALSE(errors.kept().front().message.empty());
  EXPECT_EQ(errors.kept().front().message.back(), '.');
  return errors.kept().front().code;
}

Fields Decoded::fields(std::size_t row) const {
  EXPECT_LT(row, rows.size());
  if (row >= rows.size()) return {};
  const auto fields = read_tuple(rows.row(row).tuple);
  EXPECT_TRUE(fields.has_value());
  return fields.value_or(Fields{});
}

Decoded decode(const Schema& schema, std::string_view body, BodyFormat format, DecoderLimits limits,
               char padding, std::string_view source) {
  Decoder decoder(limits);
  const PaddedBody padded(body, padding);
  Decoded decoded;
  decoded.result = decoder.decode({.schema = schema,
                                   .body = padded.text(),
                                   .format = format,
                                   .receive_time_us = receive_time_us,
                                   .source = source},
                                  decoded.rows, decoded.errors);
  EXPECT_EQ(decoded.result.accepted, decoded.rows.size());
  EXPECT_EQ(decoded.result.rejected, decoded.errors.count());
  if (decoded.result.status == DecodeStatus::complete) {
    EXPECT_EQ(decoded.result.received, decoded.result.accepted + decoded.result.rejected);
  }
  return decoded;
}

SchemaPointer compile(StreamConfig config) {
  auto schema = Schema::compile(std::move(config), 0);
  EXPECT_TRUE(schema.has_value()) << schema.error();
  // Errors name fields by pointing into their schema, so every schema lives as long as the tests.
  static std::vector<SchemaPointer> alive;
  alive.push_back(schema.value_or(nullptr));
  return alive.back();
}

SchemaPointer builtin(std::string_view name) {
  for (StreamConfig& stream : builtin_streams()) {
    if (stream.name == name) return compile(std::move(stream));
  }
  ADD_FAILURE() << "no stream " << name;
  return nullptr;
}

StreamConfig stream_with(ColumnConfig value) {
  if (value.name.empty()) value.name = "value";
  return {.name = "test",
          .table = "test",
          .device_column = "device",
          .time_column = "time",
          .columns = {{.name = "device", .type = ColumnType::text},
                      {.name = "time", .type = ColumnType::timestamptz},
                      std::move(value)}};
}

std::string record_with(std::string_view value) {
  return R"({"device":"d","time":"2024-05-01T12:00:00Z","value":)" + std::string(value) + "}";
}

}  // namespace wellhead::test
