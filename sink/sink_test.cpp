// The sink's small parts, which need neither thread nor database.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "sink/backoff.hpp"
#include "sink/pg_database.hpp"
#include "sink/salvage.hpp"
#include "sink/settled_rows.hpp"
#include "sink/sqlstate.hpp"

namespace wellhead {
namespace {

TEST(BackoffTest, doubles_with_jitter_up_to_its_bound_and_starts_again_after_a_reset) {
  Backoff backoff(7);
  std::chrono::nanoseconds whole = disconnected_backoff.first;
  for (int tries = 0; tries < 100; ++tries) {
    const auto wait = backoff.next(disconnected_backoff);
    EXPECT_LE(wait, whole);
    EXPECT_GE(wait, whole / 2);
    whole = std::min<std::chrono::nanoseconds>(whole * 2, disconnected_backoff.last);
  }
  backoff.reset();
  EXPECT_LE(backoff.next(disconnected_backoff), disconnected_backoff.first);
}

TEST(SqlstateTest, tells_bad_rows_from_bad_moments_and_from_what_an_operator_must_do) {
  for (const char* sqlstate : {"22003", "22021", "23502", "23505", "23514", "44000", "54000", "P0001"})
    EXPECT_EQ(classify_sqlstate(sqlstate), ErrorKind::rows_refused) << sqlstate;
  for (const char* sqlstate : {"", "08006", "25006", "40001", "40P01", "53100", "53300", "55P03", "57014",
                               "57P01", "57P03", "58030", "XX000", "P0002"})
    EXPECT_EQ(classify_sqlstate(sqlstate), ErrorKind::retry) << sqlstate;
  for (const char* sqlstate : {"0A000", "28P01", "28000", "3D000", "3F000", "42501", "42P01", "42703"})
    EXPECT_EQ(classify_sqlstate(sqlstate), ErrorKind::operator_needed) << sqlstate;
}

// Rows of the kinds given, the ones at `refused` refused; without claims as a batch from the journal.
SettledRows settled(const std::vector<RowKind>& kinds, const std::vector<std::uint32_t>& refused,
                    bool with_claims) {
  Batch batch(1U << 16, 0);
  for (const RowKind kind : kinds) {
    constexpr RowHeader blank{
        .device_hash = 0, .time_us = 0, .tuple_bytes = 8, .record_index = 0, .stream = 0};
    RowHeader header = blank;
    header.kind = kind;
    std::memcpy(batch.append(1, 1, header.tuple_bytes, kind), &header, sizeof(header));
  }
  if (!with_claims) batch.adopt(batch.bytes(), batch.row_count());
  for (const std::uint32_t row : refused) batch.refused().push_back({row, 0, "23514", "no"});
  return count_settled(batch);
}

TEST(SettledRowsTest, counts_dead_letters_apart_from_records_with_claims_and_without) {
  constexpr RowKind record = RowKind::record, letter = RowKind::dead_letter;
  for (const bool with_claims : {true, false}) {
    const SettledRows mixed = settled({record, letter, record, letter, record, letter}, {0, 3}, with_claims);
    EXPECT_EQ(mixed.committed, 2U);
    EXPECT_EQ(mixed.refused, 1U);
    EXPECT_EQ(mixed.dead_letters, 2U);
    const SettledRows records = settled({record, record, record}, {1}, with_claims);
    EXPECT_EQ(records.committed, 2U);
    EXPECT_EQ(records.refused, 1U);
    EXPECT_EQ(records.dead_letters, 0U);
  }
}

TEST(SqlLiteralTest, keeps_quotes_and_backslashes_inside_the_constant) {
  EXPECT_EQ(sql_literal("plain"), "'plain'");
  EXPECT_EQ(sql_literal("o'clock; DROP TABLE x"), "'o''clock; DROP TABLE x'");
  EXPECT_EQ(sql_literal(R"(back\slash')"), R"( E'back\\slash''')");
}

TEST(CopyLineTest, reads_the_line_the_server_names_and_no_other_number) {
  EXPECT_EQ(copy_line_from("COPY telemetry, line 17"), 17U);
  EXPECT_EQ(copy_line_from("COPY telemetry, line 1712, column pressure"), 1'712U);
  EXPECT_EQ(copy_line_from("PL/pgSQL function f() line 3 at RAISE\nCOPY telemetry, line 5"), 5U);
  EXPECT_EQ(copy_line_from(""), std::nullopt);
  EXPECT_EQ(copy_line_from("COPY telemetry, Zeile 17"), std::nullopt);
  EXPECT_EQ(copy_line_from("SQL statement, line 9"), std::nullopt);
}

TEST(ConnectionErrorTest, finds_the_last_servers_sqlstate_in_the_verbose_message) {
  const auto refused = connection_error_from(
      "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  28P01: password authentication "
      "failed for user "
      "\"x\"\nLOCATION:  auth_failed, auth.c:323\n");
  EXPECT_EQ(refused.sqlstate, "28P01");
  EXPECT_EQ(refused.message, "password authentication failed for user \"x\"");
  const auto second = connection_error_from(
      "connection to server at \"a\" failed: FATAL:  53300: too many clients\nLOCATION:  f, "
      "p.c:1\nconnection to server "
      "at \"b\" failed: FATAL:  57P03: the database system is starting up\nLOCATION:  g, q.c:2\n");
  EXPECT_EQ(second.sqlstate, "57P03");
  EXPECT_EQ(second.message, "the database system is starting up");
  const auto unreachable = connection_error_from(
      "connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n\tIs the server running on "
      "that host?\n");
  EXPECT_EQ(unreachable.sqlstate, "");
  EXPECT_EQ(unreachable.message,
            "connection to server at \"127.0.0.1\", port 1 failed: Connection refused Is the server running "
            "on that host?");
}

TEST(PostgresOptionsTest, names_what_is_wrong_and_never_the_connection_string) {
  EXPECT_TRUE(validate({}).has_value());
  EXPECT_TRUE(validate({.connection = "postgresql://u:p@h:5432/d?sslmode=require"}).has_value());
  EXPECT_TRUE(validate({.connection = "host=a,b dbname=d"}).has_value());
  const auto broken = validate({.connection = "postgresql://u:se%cret@h/d"});
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().find("se%cret"), std::string::npos);
  EXPECT_FALSE(validate({.node_id = ""}).has_value());
  EXPECT_FALSE(validate({.synchronous_commit = "sometimes"}).has_value());
  EXPECT_FALSE(validate({.statement_timeout = std::chrono::milliseconds{0}}).has_value());
}

}  // namespace
}  // namespace wellhead
