// docs/journal-format.md shows what a writer writes: its examples are compared with what the code makes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "journal/chain_end.hpp"
#include "journal/epoch_file.hpp"
#include "journal/recovery.hpp"
#include "journal/segment_pool.hpp"
#include "journal/segment_writer.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"

namespace wellhead {
namespace {

// 2026-03-01T12:00:00Z, in microseconds since 2000-01-01.
constexpr std::int64_t example_time_us = 825'681'600'000'000;

class ExampleClock final : public Clock {
 public:
  [[nodiscard]] std::int64_t wall_us() const noexcept override { return example_time_us; }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return 1; }
};

// The bytes of the code block ```hex NAME: two digits each, behind an offset of four; what comes behind a bar
// is for people.
std::vector<std::byte> example(const std::string& name) {
  std::ifstream document(WELLHEAD_SOURCE_DIR "/docs/journal-format.md");
  std::string line;
  while (std::getline(document, line) && line != "```hex " + name) {
  }
  std::vector<std::byte> bytes;
  while (std::getline(document, line) && line != "```") {
    std::istringstream words(line.substr(0, line.find('|')));
    std::string word;
    words >> word;  // the offset
    while (words >> word) bytes.push_back(std::byte(std::stoul(word, nullptr, 16)));
  }
  return bytes;
}

// The lines of the code block ```text NAME.
std::string text_example(const std::string& name) {
  std::ifstream document(WELLHEAD_SOURCE_DIR "/docs/journal-format.md");
  std::string line;
  while (std::getline(document, line) && line != "```text " + name) {
  }
  std::string text;
  while (std::getline(document, line) && line != "```") text += line + '\n';
  return text;
}

// For whoever changes the format: the block to put into the document.
std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    if (at % 16 == 0) text += fmt::format("\n{:04x} ", at);
    text += fmt::format(" {:02x}", static_cast<unsigned>(bytes[at]));
  }
  return text;
}

// The tuple of two columns: the time, and the device "well-7".
std::vector<std::byte> example_tuple() {
  const unsigned char tuple[] = {0,    2, 0, 0, 0, 8, 0x00, 0x02, 0xEE, 0xF3, 0xFA, 0x77,
                                 0x30, 0, 0, 0, 0, 6, 'w',  'e',  'l',  'l',  '-',  '7'};
  const auto bytes = std::as_bytes(std::span(tuple));
  return {bytes.begin(), bytes.end()};
}

class FormatDocument : public testing::Test {
 protected:
  void SetUp() override {
    for (std::size_t at = 0; at < journal_.size(); ++at) journal_[at] = static_cast<std::uint8_t>(at);
    SegmentPoolOptions pool_options;
    pool_options.journal_id = journal_;
    pool_options.epoch = 3;
    pool_options.segment_bytes = 64U << 10;
    pool_options.free_bytes_min = 0;
    SegmentPool pool(disk_, clock_, pool_options);
    ASSERT_TRUE(pool.open().has_value());
    while (pool.work()) {
    }
    SegmentCatalog catalog;
    SegmentWriterOptions writer_options;
    writer_options.journal_id = journal_;
    writer_options.epoch = 3;
    writer_options.shards = 2;
    writer_options.segment_bytes = 64U << 10;
    writer_options.block_bytes_max = 32U << 10;
    SegmentWriter writer(pool, catalog, clock_, writer_options);
    Batch batch(4096, 0);
    append_example_row(batch);
    Batch* const batches[] = {&batch};
    ASSERT_EQ(writer.append(batches, {}, 0), AppendStatus::planned);
    ASSERT_EQ(carry_out(writer), CompleteResult::durable);
    segment_ = disk_.contents(segment_path({3, 0, 1}));
  }

  static void append_example_row(Batch& batch) {
    const std::vector<std::byte> tuple = example_tuple();
    const RowHeader header{.device_hash = XXH3_64bits("well-7", 6),
                           .time_us = example_time_us,
                           .tuple_bytes = static_cast<std::uint32_t>(tuple.size()),
                           .record_index = 0,
                           .stream = 0};
    batch.set_shard(1);
    std::byte* row = batch.append(0, 0, header.tuple_bytes);
    std::memcpy(row, &header, sizeof header);
    std::memcpy(row + sizeof header, tuple.data(), tuple.size());
  }

  void expect_example(const std::string& name, std::span<const std::byte> written) {
    EXPECT_EQ(example(name), std::vector<std::byte>(written.begin(), written.end()))
        << "docs/journal-format.md, " << name << ", should be:" << hex(written);
  }

  journal_format::JournalId journal_{};
  ExampleClock clock_;
  SimulatedFileSystem disk_{{.seed = 1}};
  std::span<const std::byte> segment_;
};

TEST_F(FormatDocument, ItsSegmentHeaderIsTheWritersOwn) {
  expect_example("segment-header", segment_.first(sizeof(journal_format::SegmentHeader)));
}

TEST_F(FormatDocument, ItsSectionIsTheWritersOwn) {
  const std::size_t bytes = sizeof(journal_format::SectionHeader) + row_bytes(example_tuple().size());
  expect_example("section", segment_.subspan(journal_format::segment_header_bytes, bytes));
}

TEST_F(FormatDocument, ItsEndsAreWhatAStartKeeps) {
  ASSERT_TRUE(disk_.make_directory("epochs").has_value());
  ASSERT_TRUE(write_epoch(disk_, {3, 1, 2, 4096, ""}).has_value());
  const auto recovered = recover(disk_, journal_, 0);
  ASSERT_TRUE(recovered.has_value());
  ASSERT_TRUE(write_chain_ends(disk_, journal_, recovered->ends).has_value());
  const auto written = disk_.contents(chain_ends_path);
  EXPECT_EQ(text_example("ends"), std::string(reinterpret_cast<const char*>(written.data()), written.size()));
}

}  // namespace
}  // namespace wellhead
