#include "loadgen/copy_binary.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "loadgen/test_rows.hpp"

namespace wellhead::loadgen {
namespace {

using namespace std::string_literals;

std::string field(const std::string& bytes) {
  return big_endian(bytes.size(), 4) + bytes;
}

std::string sample_stream() {
  const std::string header = "PGCOPY\n\377\r\n\0"s + big_endian(0, 4) + big_endian(3, 4) + "ext";
  const std::string null = big_endian(0xFFFFFFFF, 4);
  const std::string first = big_endian(3, 2) + field("w-1") + field(big_endian(0x3FC00000, 4)) + null;
  const std::string second = big_endian(3, 2) + field("") + field(big_endian(0x3FF8000000000000, 8)) +
                             field(big_endian(static_cast<std::uint64_t>(-5), 8));
  return header + first + second + big_endian(0xFFFF, 2);
}

struct Collected final : CopyRowVisitor {
  struct Row {
    std::string text;
    std::optional<double> number;
    std::optional<std::int64_t> integer;
    bool null;
  };
  std::vector<Row> rows;
  void on_row(const CopyRow& row) override {
    rows.push_back({std::string(row.text(0)), row.number(1), row.integer(2), row.is_null(2)});
  }
};

TEST(CopyBinaryParser, reads_a_stream_cut_anywhere) {
  const std::string stream = sample_stream();
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    CopyBinaryParser parser;
    Collected collected;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      ASSERT_TRUE(parser.feed(std::string_view(stream).substr(at, piece), collected).has_value());
    }
    ASSERT_TRUE(parser.complete()) << "pieces of " << piece;
    ASSERT_EQ(collected.rows.size(), 2U) << "pieces of " << piece;
    EXPECT_EQ(collected.rows[0].text, "w-1");
    EXPECT_EQ(collected.rows[0].number, 1.5);
    EXPECT_TRUE(collected.rows[0].null);
    EXPECT_EQ(collected.rows[1].number, 1.5);
    EXPECT_EQ(collected.rows[1].integer, -5);
  }
}

TEST(CopyBinaryParser, is_not_complete_without_the_trailer) {
  const std::string stream = sample_stream();
  CopyBinaryParser parser;
  Collected collected;
  ASSERT_TRUE(parser.feed(std::string_view(stream).substr(0, stream.size() - 2), collected).has_value());
  EXPECT_EQ(collected.rows.size(), 2U);
  EXPECT_FALSE(parser.complete());
}

TEST(CopyBinaryParser, refuses_another_format) {
  CopyBinaryParser parser;
  Collected collected;
  EXPECT_FALSE(parser.feed("1\t2\t3\n4\t5\t6\n7\t8\t9\n10\t11\t12\n", collected).has_value());
}

TEST(CopyRow, compares_a_number_as_its_column_stores_it) {
  TestRow row;
  row.real(0.1).null();
  EXPECT_TRUE(row.row().equals_number(0, 0.1));
  EXPECT_FALSE(row.row().equals_number(0, 0.10001));
  EXPECT_FALSE(row.row().equals_number(1, 0.1));
}

}  // namespace
}  // namespace wellhead::loadgen
