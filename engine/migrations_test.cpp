#include "engine/migrations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <string>
#include <string_view>

namespace wellhead {
namespace {

// Fails for a statement that is one of the words which begin or end a transaction.
void expect_no_transaction_control(std::string_view sql, std::string_view file) {
  std::istringstream statements{std::string(sql)};
  for (std::string statement; std::getline(statements, statement, ';');) {
    std::istringstream words(statement);
    std::string first;
    words >> first;
    for (char& letter : first) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    for (const char* word : {"BEGIN", "COMMIT", "ROLLBACK", "START", "END"})
      EXPECT_NE(first, word) << file << ": " << statement;
  }
}

TEST(Migrations, TheEmbeddedFilesAreNumberedAndParse) {
  const auto migrations = parse_migrations(embedded_migration_files());
  ASSERT_TRUE(migrations) << migrations.error();
  ASSERT_GE(migrations->size(), 5U);
  EXPECT_EQ(migrations->front().name, "progress");
  EXPECT_EQ(migrations->front().option, "");
  EXPECT_EQ((*migrations)[4].option, "covering_index");
}

TEST(Migrations, NoneOfThemEndsTheTransactionItRunsIn) {
  for (const EmbeddedFile& file : embedded_migration_files()) {
    // The body of a DO block, between two "$$", has a BEGIN and END of PL/pgSQL's, which are no
    // transaction's.
    std::string_view rest = file.content;
    for (bool outside = true;; outside = !outside) {
      const std::size_t end = std::min(rest.find("$$"), rest.size());
      if (outside) expect_no_transaction_control(rest.substr(0, end), file.name);
      if (end == rest.size()) break;
      rest.remove_prefix(end + 2);
    }
  }
}

TEST(Migrations, NumbersThatDoNotAscendAndOddNamesAreRefused) {
  const std::array<EmbeddedFile, 2> twice{{{"0003_a.sql", ""}, {"0003_b.sql", ""}}};
  const auto parsed = parse_migrations(twice);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error(),
            "The migration 0003_b.sql is out of place: a number above 0003 was expected, as NNNN_name.sql.");
  for (const char* name : {"1_a.sql", "0001a.sql", "0001_.sql", "0001_a.txt", "x001_a.sql"}) {
    const std::array<EmbeddedFile, 1> odd{{{name, ""}}};
    EXPECT_FALSE(parse_migrations(odd)) << name;
  }
}

TEST(Migrations, TheFirstLinesSayWhereAndHowOneApplies) {
  const std::array<EmbeddedFile, 3> files{
      {{"0001_a.sql", "-- edition: apache, plain\n-- transaction: none\nSELECT 1;\n"},
       {"0002_b.sql", "-- edition: community >= 2.18\n--\n-- Words.\n"},
       {"0003_c.sql", "-- edition: community < 2.18\n"}}};
  const auto parsed = parse_migrations(files);
  ASSERT_TRUE(parsed) << parsed.error();
  Server server;
  EXPECT_TRUE((*parsed)[0].edition.holds(server));
  EXPECT_FALSE((*parsed)[0].transactional);
  EXPECT_FALSE((*parsed)[1].edition.holds(server));
  EXPECT_TRUE((*parsed)[1].transactional);
  server.edition = Edition::community;
  server.timescaledb_version = {2, 17};
  EXPECT_FALSE((*parsed)[0].edition.holds(server));
  EXPECT_FALSE((*parsed)[1].edition.holds(server));
  EXPECT_TRUE((*parsed)[2].edition.holds(server));
  server.timescaledb_version = {2, 18};
  EXPECT_TRUE((*parsed)[1].edition.holds(server));
  EXPECT_FALSE((*parsed)[2].edition.holds(server));
  const std::array<EmbeddedFile, 1> unknown{{{"0001_a.sql", "-- edition: enterprise\n"}}};
  EXPECT_FALSE(parse_migrations(unknown));
}

TEST(Migrations, AWayBackBelongsToTheFileOfItsName) {
  const std::array<EmbeddedFile, 2> files{{{"0001_a.sql", ""}, {"0002_b.sql", ""}}};
  const std::array<EmbeddedFile, 1> down{{{"0002_b.sql", "-- loses: one two\nDROP TABLE one;\n"}}};
  const auto parsed = parse_migrations(files, down);
  ASSERT_TRUE(parsed) << parsed.error();
  EXPECT_FALSE((*parsed)[0].down);
  ASSERT_TRUE((*parsed)[1].down);
  EXPECT_EQ((*parsed)[1].down->loses, (std::vector<std::string>{"one", "two"}));
}

TEST(Migrations, EveryWayBackThatShipsHasItsMigration) {
  const auto migrations = parse_migrations(embedded_migration_files(), embedded_down_files());
  ASSERT_TRUE(migrations) << migrations.error();
  const auto with_down = std::ranges::count_if(
      *migrations, [](const Migration& migration) { return migration.down.has_value(); });
  EXPECT_EQ(static_cast<std::size_t>(with_down), embedded_down_files().size());
}

TEST(Migrations, StatementsAreSplitAtTheEndsOfLinesAndCommentsLeftOut) {
  EXPECT_EQ(split_statements("-- words\n\nCALL one();\nCALL two(\n  3);\n"),
            (std::vector<std::string>{"CALL one();", "CALL two(\n  3);"}));
}

TEST(Migrations, TheFirstLineMakesOneOptional) {
  const std::array<EmbeddedFile, 1> files{{{"0001_a.sql", "-- option: extra\nSELECT 1;\n"}}};
  EXPECT_EQ(parse_migrations(files)->front().option, "extra");
}

TEST(Migrations, TheChecksumIsSha256) {
  EXPECT_EQ(sha256_hexadecimal("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace wellhead
