// A small journal with every bit position damaged and every length cut off: never a crash, never a wrong row,
// and always the right account of what is lost.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "journal/chain_end.hpp"
#include "journal/identity.hpp"
#include "journal/lane_reader.hpp"
#include "journal/recovery.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/journal_driver.hpp"
#include "journal/testing/manual_clock.hpp"

namespace wellhead {
namespace {

using journal_format::SectionKind;

constexpr std::uint32_t shards = 2;

JournalOptions small_journal() {
  JournalOptions options;
  options.node_id = "damage-test";
  options.shards = shards;
  options.batch_bytes = JournalDriver::batch_bytes;
  options.segment_bytes = 24U << 10;
  options.block_bytes_max = 16U << 10;
  options.bytes_max = 1U << 20;
  options.free_bytes_min = 0;
  return options;
}

// Set aside in memory, and passed over.
class Watch final : public DamageWatch {
 public:
  bool carry_on(const JournalFault& fault, const LostRows& rows) override {
    if (seen_.insert({fault.segment, fault.extent}).second) lost.push_back(rows);
    return true;
  }
  std::vector<LostRows> lost;

 private:
  std::set<std::pair<SegmentId, Extent>> seen_;
};

struct Account {
  std::map<Place, Payload> rows;
  std::vector<LostRows> lost;
  std::size_t faults = 0;
  std::uint64_t torn_blocks = 0;
};

void sort(std::vector<LostRows>& lost) {
  std::ranges::sort(lost, {},
                    [](const LostRows& entry) { return std::tuple(entry.lane, entry.sequence, entry.rows); });
}

class DamageTest : public testing::Test {
 protected:
  struct Section {
    SegmentId segment;
    FoundSection found;
  };

  // Five blocks of two lanes and the ledger in three segments.
  void SetUp() override {
    const auto journal = Journal::open(disk_, clock_, small_journal());
    ASSERT_TRUE(journal.has_value());
    JournalDriver driver(**journal, rows_);
    const auto write = [&](std::vector<std::uint32_t> block_shards, std::uint32_t row_count,
                           std::uint32_t ledger) {
      driver.prepare();
      ASSERT_EQ(driver.append(0, block_shards, row_count, 100, ledger), CompleteResult::durable);
    };
    write({0}, 3, 0);
    write({0, 1}, 5, 2);
    write({1, 0}, 30, 0);
    write({0}, 2, 1);
    write({0, 1}, 4, 0);
    journal_id_ = (*journal)->id();
    find_sections();
  }

  void find_sections() {
    const auto recovered = recover(disk_, journal_id_, UINT64_MAX);
    ASSERT_TRUE(recovered.has_value());
    ASSERT_GE(recovered->entries.size(), 3U);
    SegmentScanner scanner(disk_, journal_id_);
    for (const SegmentEntry& entry : recovered->entries) {
      auto scan = scanner.open(entry.id);
      ASSERT_TRUE(scan && scanner.find_sections(*scan, entry.end_block, true));
      for (const FoundSection& found : scan->sections) sections_.push_back({entry.id, found});
      segments_.push_back(entry.id);
    }
    last_block_ = sections_.back().found.block;
  }

  // As a start does that found the journal whole.
  void keep_end() {
    const auto recovered = recover(disk_, journal_id_, 0);
    ASSERT_TRUE(recovered.has_value());
    ASSERT_EQ(recovered->ends.size(), 1U);
    ASSERT_TRUE(write_chain_ends(disk_, journal_id_, recovered->ends).has_value());
    end_known_ = true;
  }

  // What recovery and readers together say of the journal as it is now.
  Account read(FileSystem& disk, std::uint64_t verify_bytes_max) {
    Account account;
    auto recovered = recover(disk, journal_id_, verify_bytes_max);
    EXPECT_TRUE(recovered.has_value());
    SegmentCatalog catalog;
    for (SegmentEntry& entry : recovered->entries) catalog.add(std::move(entry));
    Watch watch;
    for (std::uint32_t shard = 0; shard < shards; ++shard) {
      const LaneId lane{1, 0, shard};
      LaneReader reader(disk, journal_id_, catalog, watch, lane, catalog.first_sequence(lane));
      ReadBack back = read_lane(reader, lane, UINT64_MAX - 1);
      EXPECT_EQ(back.status, JournalReader::Status::end) << back.problem;
      account.rows.merge(back.payloads);
    }
    account.lost = recovered->survey.lost;
    account.lost.insert(account.lost.end(), watch.lost.begin(), watch.lost.end());
    account.faults = recovered->faults.size();
    account.torn_blocks = recovered->survey.torn_blocks;
    sort(account.lost);
    return account;
  }

  static Place place_of(const FoundSection& section) {
    return {{1, 0, section.shard}, section.lane_sequence};
  }

  bool lane_goes_on_behind(const Section& section) const {
    return std::ranges::any_of(sections_, [&](const Section& other) {
      return other.found.kind == SectionKind::rows && other.found.shard == section.found.shard &&
             other.found.block > section.found.block;
    });
  }

  // What is to be said when a byte of the section is damaged.
  Account expected(const Section& section, bool in_header, bool eager) const {
    Account account;
    account.rows = rows_.durable();
    const bool rows = section.found.kind == SectionKind::rows;
    const Place place = place_of(section.found);
    if (section.found.block == last_block_ && !end_known_) {
      account.torn_blocks = 1;
      for (const Section& other : sections_)
        if (other.found.block == last_block_) account.rows.erase(place_of(other.found));
      return account;
    }
    account.faults = in_header || eager ? 1 : 0;
    if (rows) account.rows.erase(place);
    if (!in_header) {
      if (rows) account.lost.push_back({place.first, place.second, section.found.row_count});
    } else if (rows && lane_goes_on_behind(section)) {
      account.lost.push_back({place.first, place.second, 0});
    } else {
      account.lost.push_back({{1, 0, LostRows::unknown_shard}, 0, 0});
    }
    return account;
  }

  Account expected(const SegmentId& segment, std::uint64_t offset, bool eager) const {
    Account whole;
    whole.rows = rows_.durable();
    if (offset < sizeof(journal_format::SegmentHeader)) whole.faults = 1;
    for (const Section& section : sections_) {
      if (section.segment != segment || offset < section.found.offset ||
          offset >= section.found.payload_end())
        continue;
      return expected(section, offset < section.found.offset + sizeof(journal_format::SectionHeader), eager);
    }
    return whole;
  }

  static void expect_same(const Account& told, const Account& wanted) {
    EXPECT_EQ(told.rows, wanted.rows);
    EXPECT_EQ(told.faults, wanted.faults);
    EXPECT_EQ(told.torn_blocks, wanted.torn_blocks);
    ASSERT_EQ(told.lost.size(), wanted.lost.size());
    for (std::size_t at = 0; at < told.lost.size(); ++at) {
      EXPECT_EQ(told.lost[at].lane, wanted.lost[at].lane);
      EXPECT_EQ(told.lost[at].sequence, wanted.lost[at].sequence);
      EXPECT_EQ(told.lost[at].rows, wanted.lost[at].rows);
    }
  }

  void flip_every_byte(bool eager) {
    for (const SegmentId& segment : segments_) flip_every_byte_of(segment, eager);
  }

  void flip_every_byte_of(const SegmentId& segment, bool eager) {
    const std::span<std::byte> bytes = disk_.contents(segment_path(segment));
    for (std::size_t offset = 0; offset < bytes.size(); ++offset) {
      const auto bit = std::byte{1} << (offset % 8);
      bytes[offset] ^= bit;
      expect_same(read(disk_, eager ? UINT64_MAX : 0), expected(segment, offset, eager));
      bytes[offset] ^= bit;
      ASSERT_FALSE(HasFailure()) << segment_path(segment) << " at " << offset;
    }
  }

  ManualClock clock_;
  SimulatedFileSystem disk_{{.seed = 1}};
  journal_format::JournalId journal_id_{};
  WrittenRows rows_;
  std::vector<Section> sections_;
  std::vector<SegmentId> segments_;
  std::uint64_t last_block_ = 0;
  bool end_known_ = false;
};

TEST_F(DamageTest, AWholeJournalIsReadWhole) {
  const Account account = read(disk_, UINT64_MAX);
  EXPECT_EQ(account.rows, rows_.durable());
  EXPECT_TRUE(account.lost.empty());
  EXPECT_EQ(account.faults, 0U);
  EXPECT_EQ(account.torn_blocks, 0U);
}

TEST_F(DamageTest, AFlippedBitAnywhereIsAccountedForWhenTheJournalIsOpened) {
  flip_every_byte(true);
}

TEST_F(DamageTest, AFlippedBitAnywhereIsAccountedForWhenTheRowsAreReadBack) {
  flip_every_byte(false);
}

// What of the last block is damaged cannot be a torn tail any more.
TEST_F(DamageTest, AFlippedBitInTheLastSegmentIsDamageOnceItsEndIsKnown) {
  keep_end();
  flip_every_byte_of(segments_.back(), true);
  flip_every_byte_of(segments_.back(), false);
}

// Rows that lie before the cut are there; of the others nobody is told anything wrong.
// ThreadSanitizer makes it fifty times as slow, and finds nothing in a single thread.
#ifdef __SANITIZE_THREAD__
constexpr std::uint64_t length_step = 61;
#else
constexpr std::uint64_t length_step = 1;
#endif

TEST_F(DamageTest, AFileCutOffAnywhereLosesWhatWasBehindTheCutAndSaysSo) {
  for (const SegmentId& segment : segments_) {
    const std::size_t size = disk_.contents(segment_path(segment)).size();
    for (std::uint64_t length = 0; length < size; length += length_step) {
      const auto disk = disk_.fork();
      disk->cut(segment_path(segment), length);
      const Account account = read(*disk, UINT64_MAX);
      std::map<Place, Payload> rows = rows_.durable();
      for (const Section& section : sections_) {
        if (section.segment != segment || section.found.payload_end() <= length) continue;
        rows.erase(place_of(section.found));
      }
      EXPECT_EQ(account.rows, rows);
      EXPECT_GT(account.faults, 0U);
      EXPECT_EQ(account.torn_blocks, 0U);
      EXPECT_TRUE(rows.size() == rows_.durable().size() || !account.lost.empty() ||
                  segment == segments_.back());
      for (const LostRows& lost : account.lost)
        EXPECT_FALSE(lost.sequence > 0 && rows.contains({lost.lane, lost.sequence}));
      ASSERT_FALSE(HasFailure()) << segment_path(segment) << " cut off at " << length;
    }
  }
}

TEST_F(DamageTest, AMissingSegmentIsAccountedForByWhatCameBehindIt) {
  ASSERT_TRUE(disk_.remove(segment_path(segments_[1])).has_value());
  const Account account = read(disk_, UINT64_MAX);
  std::map<Place, Payload> rows = rows_.durable();
  std::size_t sections = 0;
  for (const Section& section : sections_)
    if (section.segment == segments_[1] && section.found.kind == SectionKind::rows)
      sections += rows.erase(place_of(section.found));
  EXPECT_EQ(account.rows, rows);
  EXPECT_EQ(account.faults, 1U);
  EXPECT_EQ(account.lost.size(), sections);
}

// Garbage that is no accident: nothing a file may hold makes recovery stumble.
TEST_F(DamageTest, RandomBytesInRandomPlacesNeverGiveAWrongRow) {
  constexpr std::uint64_t seeds = 3000;
  const std::map<Place, Payload> written = rows_.durable();
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto disk = disk_.fork();
    SimulatedRandom random(seed);
    for (std::uint64_t places = 1 + random.below(4); places > 0; --places) {
      const auto bytes = disk->contents(segment_path(segments_[random.below(segments_.size())]));
      const std::size_t from = random.below(bytes.size());
      const std::size_t count = std::min<std::size_t>(1 + random.below(6000), bytes.size() - from);
      const bool zeros = random.below(2) == 0;
      for (std::byte& byte : bytes.subspan(from, count))
        byte = zeros ? std::byte{0} : std::byte(random.next());
    }
    const Account account = read(*disk, random.below(2) == 0 ? UINT64_MAX : 0);
    for (const auto& [place, payload] : account.rows) {
      const auto wanted = written.find(place);
      ASSERT_TRUE(wanted != written.end() && wanted->second == payload) << "seed " << seed;
    }
    for (const LostRows& lost : account.lost)
      ASSERT_FALSE(lost.sequence > 0 && account.rows.contains({lost.lane, lost.sequence})) << "seed " << seed;
  }
}

}  // namespace
}  // namespace wellhead
