#include <gtest/gtest.h>
#include <simdjson.h>

#include "journal/journal.hpp"
#include "journal/ledger_store.hpp"
#include "journal/section.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"

namespace wellhead {
namespace {

class JournalReportTest : public testing::Test {
 protected:
  void SetUp() override {
    JournalOptions options;
    options.node_id = "well-\"1\"";
    options.shards = 2;
    options.batch_bytes = JournalDriver::batch_bytes;
    options.segment_bytes = 32U << 10;
    options.block_bytes_max = 28U << 10;
    options.free_bytes_min = 0;
    const auto journal = Journal::open(disk_, clock_, options);
    ASSERT_TRUE(journal.has_value());
    id_ = (*journal)->id();
    WrittenRows rows;
    JournalDriver driver(**journal, rows);
    for (unsigned block = 0; block < 6; ++block) {
      driver.prepare();
      ASSERT_EQ(driver.append(0, std::vector<std::uint32_t>{0, 1}, 10, 100), CompleteResult::durable);
    }
  }

  // The first payload of the journal.
  void damage() {
    disk_.contents(segment_path({1, 0, 1}))[journal_format::segment_header_bytes + 150] ^= std::byte{1};
  }

  // Two keys and a producer.
  void save_ledger() {
    LedgerTable table({});
    for (std::uint64_t key = 1; key <= 2; ++key) {
      RequestEntry entry;
      entry.key = {key, 0};
      entry.time_us = clock_.wall_us();
      entry.answer.receipt = "receipt";
      table.restore(entry);
    }
    table.restore(ProducerEntry{.producer = {7, 0}, .last_sequence = 9, .time_us = clock_.wall_us()});
    table.finish_restore(clock_.wall_us());
    ASSERT_TRUE(LedgerStore(disk_, clock_, id_, table).save().has_value());
  }

  journal_format::JournalId id_{};
  ManualClock clock_;
  SimulatedFileSystem disk_{{.seed = 1}};
};

TEST_F(JournalReportTest, DescribesAWholeJournal) {
  const auto report = inspect_journal(disk_, ReportFormat::text);
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->whole);
  for (const char* words :
       {"of node \"well-\"1\"\"", "epoch 1: 1 reactors, 2 shards", "shard 1: batches 1 to 6",
        "segments/00000001-0000-000000000001.segment: 32768 bytes, blocks 1 to 3, 6 sections, 60 rows",
        "The journal is whole."})
    EXPECT_NE(report->text.find(words), std::string::npos) << words << " is not in\n" << report->text;
}

TEST_F(JournalReportTest, VerifyNamesEachFaultWithFileAndOffset) {
  damage();
  EXPECT_TRUE(inspect_journal(disk_, ReportFormat::text)->whole);  // which does not read payloads
  const auto report = verify_journal(disk_, ReportFormat::text);
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->whole);
  for (const char* words :
       {"segments/00000001-0000-000000000001.segment: the section at offset 4096 is damaged; 10 rows",
        "lost: epoch 1, reactor 0, shard 0, batch 1, 10 rows",
        "damaged in 1 places; 10 rows are lost for certain, in 1 sections"})
    EXPECT_NE(report->text.find(words), std::string::npos) << words << " is not in\n" << report->text;
}

TEST_F(JournalReportTest, TheSameInJson) {
  damage();
  const auto report = verify_journal(disk_, ReportFormat::json);
  ASSERT_TRUE(report.has_value());
  simdjson::dom::parser parser;
  const simdjson::dom::element json = parser.parse(report->text);
  EXPECT_EQ(std::string_view(json["node"]), "well-\"1\"");
  EXPECT_FALSE(bool(json["whole"]));
  EXPECT_EQ(std::uint64_t(json["rows_lost"]), 10U);
  EXPECT_EQ(std::uint64_t(json["faults"].at(0)["offset"]), 4096U);
  EXPECT_EQ(std::string_view(json["faults"].at(0)["path"]), "segments/00000001-0000-000000000001.segment");
  EXPECT_EQ(std::uint64_t(json["lost"].at(0)["sequence"]), 1U);
  EXPECT_EQ(std::uint64_t(json["lanes"].at(1)["last"]), 6U);
  EXPECT_EQ(json["segments"].get_array().size(), 2U);
}

TEST_F(JournalReportTest, TellsWhatTheLedgerHolds) {
  const auto without = inspect_journal(disk_, ReportFormat::text);
  ASSERT_TRUE(without.has_value());
  EXPECT_NE(without->text.find("ledger: not there"), std::string::npos) << without->text;
  save_ledger();
  const std::size_t bytes = disk_.contents("ledger").size();
  const auto text = inspect_journal(disk_, ReportFormat::text);
  ASSERT_TRUE(text.has_value());
  EXPECT_TRUE(text->whole);
  EXPECT_NE(text->text.find("ledger: " + std::to_string(bytes) + " bytes, 2 idempotency keys, 1 producers"),
            std::string::npos)
      << text->text;
  simdjson::dom::parser parser;
  const auto report = inspect_journal(disk_, ReportFormat::json);
  ASSERT_TRUE(report.has_value());
  const simdjson::dom::element json = parser.parse(report->text);
  EXPECT_EQ(std::uint64_t(json["ledger"]["bytes"]), bytes);
  EXPECT_EQ(std::uint64_t(json["ledger"]["keys"]), 2U);
  EXPECT_EQ(std::uint64_t(json["ledger"]["producers"]), 1U);
}

TEST_F(JournalReportTest, AFlippedBitAnywhereInTheLedgerIsToldWithWhatItMeans) {
  save_ledger();
  for (std::size_t offset = 0; offset < disk_.contents("ledger").size(); ++offset) {
    disk_.contents("ledger")[offset] ^= std::byte{4};
    const auto report = verify_journal(disk_, ReportFormat::text);
    ASSERT_TRUE(report.has_value());
    EXPECT_FALSE(report->whole) << "at " << offset;
    EXPECT_NE(report->text.find("may store it twice; no stored record is touched"), std::string::npos)
        << "at " << offset << "\n"
        << report->text;
    EXPECT_NE(report->text.find("The journal's records are whole"), std::string::npos);
    disk_.contents("ledger")[offset] ^= std::byte{4};
  }
  EXPECT_TRUE(verify_journal(disk_, ReportFormat::text)->whole);
}

TEST_F(JournalReportTest, RefusesWhatIsNoJournalOrInUse) {
  SimulatedFileSystem empty({.seed = 1});
  const auto none = inspect_journal(empty, ReportFormat::text);
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().sentence.find("no journal"), std::string::npos);
  disk_.set_locked_elsewhere(true);
  EXPECT_EQ(verify_journal(disk_, ReportFormat::text).error().code, JournalErrorCode::in_use);
}

}  // namespace
}  // namespace wellhead
