#include "engine/attributes_csv.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "engine/temporary_directory.hpp"

namespace wellhead {
namespace {

using Lines = std::vector<std::vector<std::string>>;

Lines read_all(std::string_view text) {
  CsvReader csv(text);
  Lines lines;
  for (;;) {
    const auto next = csv.next();
    if (!next) {
      lines.push_back({std::to_string(csv.line()) + ": " + next.error()});
    } else if (!*next) {
      return lines;
    } else {
      lines.emplace_back(csv.fields().begin(), csv.fields().end());
    }
  }
}

StreamConfig stream() {
  StreamConfig config{.name = "wells", .table = "wells", .device_column = "device", .time_column = "time"};
  config.attributes.file = "devices.csv";
  config.columns = {
      {.name = "device", .type = ColumnType::text},
      {.name = "time", .type = ColumnType::timestamptz},
      {.name = "site", .type = ColumnType::text, .source = ColumnSource::attribute, .attribute = "site"},
      {.name = "depth", .type = ColumnType::real, .source = ColumnSource::attribute, .attribute = "depth"}};
  return config;
}

std::vector<std::string> mistakes_of(std::string_view text) {
  const auto table = read_attributes(stream(), text, "devices.csv");
  return table ? std::vector<std::string>{} : table.error();
}

TEST(attributes_csv, fields_are_read_by_the_rules_of_the_standard) {
  EXPECT_EQ(read_all("a,b\r\n1,2\r\n"), (Lines{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(read_all("\xEF\xBB\xBF"
                     "a,b"),
            (Lines{{"a", "b"}}));
  EXPECT_EQ(read_all("\"a, b\",\"say \"\"hi\"\"\"\n,\n"), (Lines{{"a, b", "say \"hi\""}, {"", ""}}));
  EXPECT_EQ(read_all("\"two\nlines\",x\n\n\ny,z\n\n"), (Lines{{"two\nlines", "x"}, {"y", "z"}}));
  EXPECT_EQ(read_all("a,\n\"\"\n"), (Lines{{"a", ""}, {""}}));
  EXPECT_EQ(read_all(""), Lines{});
}

TEST(attributes_csv, a_broken_line_costs_that_line_and_is_told_with_its_number) {
  EXPECT_EQ(
      read_all("a,b\n\"x\"y,1\nc,d\n"),
      (Lines{{"a", "b"}, {"2: Something stands between a closing quote and the next comma."}, {"c", "d"}}));
  EXPECT_EQ(read_all("a\nb\"c\nd\n"),
            (Lines{{"a"}, {"2: A quote stands within a field that does not begin with one."}, {"d"}}));
  EXPECT_EQ(read_all("\"a\nb\"\n\"open\n"),
            (Lines{{"a\nb"}, {"3: A field's opening quote is never closed."}}));
  EXPECT_EQ(read_all("a\n\xC3\x28\nd\n"), (Lines{{"a"}, {"2: The line is not UTF-8."}, {"d"}}));
  EXPECT_EQ(read_all(std::string_view("a\nx\0y\n", 6)),
            (Lines{{"a"}, {"2: The line holds a NUL character."}}));
}

TEST(attributes_csv, what_is_written_is_read_back) {
  std::string text;
  const std::vector<std::string_view> fields{"plain", "", "with \"quotes\", and\r\ncommas", "ü"};
  append_csv_line(text, fields);
  append_csv_line(text, fields);
  const Lines lines = read_all(text);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1], (std::vector<std::string>(fields.begin(), fields.end())));
}

TEST(attributes_csv, columns_are_found_by_name_in_any_order_and_others_are_passed_over) {
  const auto table =
      read_attributes(stream(), "depth,note,device,site\n2150.5,x,well-1,north\n,,well-2,\n", "devices.csv");
  ASSERT_TRUE(table) << testing::PrintToString(table.error());
  EXPECT_EQ((*table)->devices(), 2U);
}

TEST(attributes_csv, every_mistake_is_named_with_file_and_line) {
  const auto mistakes =
      mistakes_of("device,site,depth\nwell-1,north,1\nwell-1,south,2\nwell-2,x\n,x,1\nwell-3,x,deep\n");
  ASSERT_EQ(mistakes.size(), 4U);
  EXPECT_EQ(mistakes[0], "devices.csv:3: The device \"well-1\" is here a second time.");
  EXPECT_EQ(mistakes[1], "devices.csv:4: The line has 2 fields, and the header line has 3.");
  EXPECT_EQ(mistakes[2], "devices.csv:5: The device has no name.");
  EXPECT_EQ(mistakes[3],
            "devices.csv:6: The attribute \"depth\" = \"deep\" is not a number; it goes into the real column "
            "\"depth\".");
}

TEST(attributes_csv, a_header_without_what_is_wanted_says_for_what) {
  EXPECT_EQ(
      mistakes_of(""),
      (std::vector<std::string>{"devices.csv:0: The file is empty; its first line must name its columns."}));
  const auto mistakes = mistakes_of("well,site,site\n");
  ASSERT_EQ(mistakes.size(), 3U);
  EXPECT_EQ(mistakes[0],
            "devices.csv:1: The header line has no column \"device\", which is wanted for the device of "
            "stream \"wells\".");
  EXPECT_NE(mistakes[1].find("more than one column \"site\""), std::string::npos) << mistakes[1];
  EXPECT_NE(mistakes[2].find("no column \"depth\", which is wanted for the column \"depth\""),
            std::string::npos);
}

TEST(attributes_csv, of_many_mistakes_the_first_are_told_and_the_others_counted) {
  std::string text = "device,site,depth\n";
  for (int line = 0; line < 50; ++line) text += "short\n";
  const auto mistakes = mistakes_of(text);
  ASSERT_EQ(mistakes.size(), attributes_mistakes_told_max + 1);
  EXPECT_EQ(mistakes.back(), "devices.csv: There are 30 more mistakes.");
}

TEST(attributes_csv, the_device_may_have_another_name_in_the_file) {
  StreamConfig config = stream();
  config.attributes.device_column = "well";
  EXPECT_TRUE(read_attributes(config, "well,site,depth\nwell-1,north,1\n", "devices.csv"));
}

TEST(attributes_csv, a_file_is_read_or_it_is_said_why_not) {
  const TemporaryDirectory directory;
  StreamConfig config = stream();
  config.attributes.file = directory / "devices.csv";
  const auto missing = read_attributes_file(config);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().front().find("cannot be read: No such file"), std::string::npos)
      << missing.error().front();
  std::ofstream(config.attributes.file) << "device,site,depth\nwell-1,north,1\n";
  const auto table = read_attributes_file(config);
  ASSERT_TRUE(table);
  EXPECT_EQ((*table)->devices(), 1U);
}

}  // namespace
}  // namespace wellhead
