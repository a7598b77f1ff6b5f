#include "journal/segment_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <thread>

#include "journal/posix_file_system.hpp"
#include "journal/simulated_file_system.hpp"
#include "journal/testing/manual_clock.hpp"
#include "journal/testing/temporary_directory.hpp"

namespace wellhead {
namespace {

constexpr std::uint64_t segment_bytes = 64 << 10;
constexpr journal_format::JournalId journal_id{1, 2, 3};

SegmentPoolOptions small_pool() {
  return {.journal_id = journal_id,
          .epoch = 7,
          .reactors = 2,
          .segment_bytes = segment_bytes,
          .bytes_max = 100 * segment_bytes,
          .free_bytes_min = 0,
          .spare_made = 1,
          .spare_kept = 3};
}

struct SegmentPoolTest : testing::Test {
  std::unique_ptr<SimulatedFileSystem> disk = std::make_unique<SimulatedFileSystem>(SimulatedDiskOptions{});
  ManualClock clock;
  SegmentPoolOptions options = small_pool();
  std::unique_ptr<SegmentPool> pool;

  void use_disk(std::uint64_t seed) {
    pool.reset();
    disk = std::make_unique<SimulatedFileSystem>(SimulatedDiskOptions{.seed = seed});
  }
  [[nodiscard]] std::vector<std::string> names(const char* folder) const {
    return disk->list(folder).value();
  }
  void open() {
    pool = std::make_unique<SegmentPool>(*disk, clock, options);
    ASSERT_TRUE(pool->open().has_value());
  }
  void work_all() const {
    for (unsigned turn = 0; pool->work(); ++turn) ASSERT_LT(turn, 1000U) << "work without end";
  }
  void pass_pause() { clock.now_ns += std::chrono::nanoseconds(options.retry_pause).count(); }
  [[nodiscard]] std::uint64_t bytes_on_disk() const {
    std::uint64_t bytes = 0;
    for (const char* directory : {segments_directory, spare_directory})
      for (const std::string& name : names(directory))
        bytes += disk->contents(std::string(directory) + '/' + name).size();
    return bytes;
  }
  [[nodiscard]] bool all_ready() const {
    return pool->availability(0) == SegmentAvailability::ready &&
           pool->availability(1) == SegmentAvailability::ready;
  }
  // Every segment on the disk has the header its name says.
  void check_segments() {
    for (const std::string& name : names(segments_directory)) {
      const auto id = parse_segment_name(name);
      ASSERT_TRUE(id.has_value()) << name;
      const auto bytes = disk->contents(segment_path(*id));
      const auto header = check_segment_header(bytes, journal_id, *id);
      ASSERT_TRUE(header.has_value()) << name << ": fault " << static_cast<int>(header.error());
      EXPECT_EQ(header->first_block, 0U);
      EXPECT_EQ(header->bytes, bytes.size());
    }
  }
};

TEST_F(SegmentPoolTest, MakesASegmentReadyForEachWriterAndOneSpare) {
  open();
  EXPECT_EQ(pool->take(0), nullptr);
  EXPECT_EQ(pool->availability(0), SegmentAvailability::preparing);
  work_all();
  EXPECT_TRUE(all_ready());
  EXPECT_EQ(pool->spare_count(), 1U);
  EXPECT_EQ(pool->bytes(), 3 * segment_bytes);
  EXPECT_EQ(pool->bytes(), bytes_on_disk());
  check_segments();
}

TEST_F(SegmentPoolTest, GivesWhatAPowerLossDoesNotTakeBack) {
  open();
  work_all();
  disk->crash();
  EXPECT_EQ(names(segments_directory).size(), 2U);
  check_segments();
  for (const std::string& name : names(segments_directory)) {
    const auto bytes = disk->contents(std::string(segments_directory) + '/' + name);
    EXPECT_EQ(bytes.size(), segment_bytes);
    EXPECT_TRUE(std::ranges::all_of(bytes.subspan(sizeof(journal_format::SegmentHeader)),
                                    [](std::byte byte) { return byte == std::byte{0}; }));
  }
}

TEST_F(SegmentPoolTest, NumbersTheSegmentsOfAWriterFromOneWithoutGaps) {
  open();
  for (std::uint64_t number = 1; number <= 5; ++number) {
    work_all();
    const auto segment = pool->take(1);
    ASSERT_NE(segment, nullptr);
    EXPECT_EQ(segment->id, (SegmentId{7, 1, number}));
    EXPECT_EQ(segment->bytes, segment_bytes);
    EXPECT_EQ(pool->take(1), nullptr) << "there is one at a time";
  }
  EXPECT_EQ(pool->take(0)->id, (SegmentId{7, 0, 1}));
}

TEST_F(SegmentPoolTest, StopsAtItsBoundAndGoesOnWhenASegmentComesBack) {
  options.bytes_max = 4 * segment_bytes;
  open();
  work_all();
  EXPECT_EQ(pool->bytes(), 3 * segment_bytes);
  const auto first = pool->take(0);
  work_all();
  EXPECT_TRUE(all_ready());
  EXPECT_EQ(pool->bytes(), options.bytes_max);
  ASSERT_NE(pool->take(0), nullptr);
  work_all();
  EXPECT_EQ(pool->problem(), "") << "there was a spare one";
  ASSERT_NE(pool->take(0), nullptr);
  EXPECT_EQ(pool->availability(0), SegmentAvailability::preparing) << "nobody has tried yet";
  work_all();
  EXPECT_EQ(pool->availability(0), SegmentAvailability::full);
  EXPECT_NE(pool->problem().find("limit"), std::string::npos) << pool->problem();
  EXPECT_EQ(pool->bytes(), options.bytes_max);
  ASSERT_TRUE(pool->recycle(segment_name(first->id)).has_value());
  work_all();
  EXPECT_EQ(pool->availability(0), SegmentAvailability::ready);
  EXPECT_EQ(pool->problem(), "");
  EXPECT_EQ(pool->bytes(), bytes_on_disk());
}

TEST_F(SegmentPoolTest, LeavesSpaceToOthersAndGoesOnWhenThereIsMore) {
  options.free_bytes_min = 10 * segment_bytes;
  disk->set_disk_bytes(11 * segment_bytes);
  open();
  work_all();
  EXPECT_EQ(pool->bytes(), segment_bytes);
  EXPECT_EQ(pool->availability(1), SegmentAvailability::full);
  EXPECT_NE(pool->problem().find("free"), std::string::npos) << pool->problem();
  disk->set_disk_bytes(20 * segment_bytes);
  work_all();
  EXPECT_EQ(pool->availability(1), SegmentAvailability::full) << "it pauses";
  pass_pause();
  work_all();
  EXPECT_TRUE(all_ready());
  EXPECT_EQ(pool->problem(), "");
}

TEST_F(SegmentPoolTest, TellsOfAFullDiskAndOfAReadOnlyOneAndRecovers) {
  open();
  disk->arm({.call = SimulatedCall::allocate, .error = ENOSPC, .in = 1});
  work_all();
  EXPECT_EQ(pool->availability(0), SegmentAvailability::full);
  EXPECT_NE(pool->problem().find("No space left"), std::string::npos) << pool->problem();
  disk->set_read_only(true);
  pass_pause();
  EXPECT_FALSE(pool->work());
  EXPECT_EQ(pool->availability(0), SegmentAvailability::full);
  EXPECT_NE(pool->problem().find("Read-only"), std::string::npos) << pool->problem();
  disk->set_read_only(false);
  pass_pause();
  work_all();
  EXPECT_TRUE(all_ready());
  EXPECT_EQ(pool->problem(), "");
}

// Each call of each kind fails once, in turn, with each of these errors.
TEST_F(SegmentPoolTest, RecoversFromAFailureOfEachCall) {
  for (const SimulatedCall call :
       {SimulatedCall::open, SimulatedCall::write, SimulatedCall::synchronize, SimulatedCall::allocate,
        SimulatedCall::rename, SimulatedCall::synchronize_directory}) {
    for (const int error : {EIO, ENOSPC, EROFS}) {
      for (std::uint64_t nth = 1; nth <= 4; ++nth) {
        SCOPED_TRACE(testing::Message()
                     << "call " << static_cast<int>(call) << ", errno " << error << ", number " << nth);
        use_disk(nth);
        open();
        disk->arm({.call = call, .error = error, .in = nth});
        work_all();
        if (!all_ready()) {
          EXPECT_NE(pool->problem(), "");
          EXPECT_EQ(pool->availability(1), SegmentAvailability::full);
        }
        disk->disarm();
        pass_pause();
        work_all();
        EXPECT_TRUE(all_ready());
        EXPECT_EQ(pool->problem(), "");
        EXPECT_EQ(pool->bytes(), bytes_on_disk());
        check_segments();
      }
    }
  }
}

TEST_F(SegmentPoolTest, ContinuesShortWrites) {
  open();
  disk->arm({.call = SimulatedCall::write, .error = SimulatedFault::shortened, .probability = 0.7});
  work_all();
  EXPECT_TRUE(all_ready());
  check_segments();
}

// The power goes at every change there is, through making, taking and recycling.
TEST_F(SegmentPoolTest, NeverShowsASegmentUnderAnothersHeaderWhateverMomentThePowerGoes) {
  for (std::uint64_t change = 1; change < 80; ++change) {
    SCOPED_TRACE(testing::Message() << "change " << change);
    use_disk(change);
    open();
    disk->lose_power_in(change);
    work_all();
    for (unsigned round = 0; round < 3; ++round) {
      const auto taken = pool->take(0);
      if (taken == nullptr) break;
      work_all();
      static_cast<void>(pool->recycle(segment_name(taken->id)));
      work_all();
    }
    disk->crash();
    check_segments();
    options.epoch = 8;
    open();
    for (const std::string& name : names(segments_directory)) ASSERT_TRUE(pool->recycle(name).has_value());
    work_all();
    EXPECT_TRUE(all_ready());
    EXPECT_EQ(pool->bytes(), bytes_on_disk());
    options.epoch = 7;
  }
}

TEST_F(SegmentPoolTest, KeepsSomeSpareAndRemovesTheRest) {
  open();
  std::vector<std::string> taken;
  for (unsigned number = 0; number < 8; ++number) {
    work_all();
    taken.push_back(segment_name(pool->take(0)->id));
  }
  work_all();
  for (const std::string& name : taken) ASSERT_TRUE(pool->recycle(name).has_value());
  EXPECT_EQ(pool->spare_count(), options.spare_kept);
  EXPECT_EQ(names(segments_directory).size(), 2U) << "those that are ready";
  EXPECT_EQ(pool->bytes(), (2 + options.spare_kept) * segment_bytes);
  EXPECT_EQ(pool->bytes(), bytes_on_disk());
}

TEST_F(SegmentPoolTest, RemovesAReturnedSegmentOfAnotherSize) {
  open();
  work_all();
  const std::string name = segment_name({3, 0, 9});
  const auto file = disk->open(std::string(segments_directory) + '/' + name, OpenMode::create).value();
  ASSERT_TRUE(file->allocate(segment_bytes / 2).has_value());
  open();
  EXPECT_EQ(pool->bytes(), bytes_on_disk());
  ASSERT_TRUE(pool->recycle(name).has_value());
  EXPECT_EQ(pool->spare_count(), 1U);
  EXPECT_EQ(pool->bytes(), bytes_on_disk());
}

TEST_F(SegmentPoolTest, TakesAReturnTwiceForOnce) {
  open();
  work_all();
  const std::string name = segment_name(pool->take(0)->id);
  disk->arm({.call = SimulatedCall::synchronize_directory, .error = EIO, .in = 1});
  EXPECT_EQ(pool->recycle(name).error(), EIO);
  EXPECT_TRUE(pool->recycle(name).has_value());
  work_all();
  EXPECT_TRUE(all_ready());
}

TEST_F(SegmentPoolTest, UsesTheSpareSegmentsOfAnEarlierRunAndRemovesUnfinishedOnes) {
  open();
  work_all();
  ASSERT_TRUE(disk->open("spare/00000001-000000000001.spare.making", OpenMode::create).has_value());
  options.epoch = 8;
  open();
  EXPECT_EQ(pool->spare_count(), 1U);
  EXPECT_EQ(names(spare_directory).size(), 1U);
  EXPECT_EQ(pool->bytes(), 3 * segment_bytes);
  ASSERT_TRUE(pool->work());
  EXPECT_EQ(pool->availability(0), SegmentAvailability::ready) << "at once";
  options.segment_bytes = 2 * segment_bytes;
  open();
  EXPECT_EQ(pool->spare_count(), 0U) << "of another size";
}

TEST_F(SegmentPoolTest, FindsOutWhetherDirectIoWorks) {
  open();
  EXPECT_EQ(direct_io_works(*disk), true);
  EXPECT_TRUE(names(spare_directory).empty());
  disk->set_direct(false);
  EXPECT_EQ(direct_io_works(*disk), false);
  EXPECT_TRUE(names(spare_directory).empty());
  disk->set_direct(true);
  disk->arm({.call = SimulatedCall::write, .error = EINVAL, .in = 1});
  EXPECT_EQ(direct_io_works(*disk), false) << "opened and then refused";
  disk->arm({.call = SimulatedCall::write, .error = EIO, .in = 1});
  EXPECT_EQ(direct_io_works(*disk).error(), EIO);
}

TEST_F(SegmentPoolTest, WorksThroughThePageCache) {
  options.direct = false;
  disk->set_direct(false);
  open();
  work_all();
  disk->crash();
  EXPECT_TRUE(all_ready());
  check_segments();
}

TEST(SegmentPoolThreads, EachSegmentGoesToOneWriterWhileAThreadMakesAndATrimmerReturnsThem) {
  constexpr std::uint64_t rounds = 20;
  TemporaryDirectory directory;
  const auto files = PosixFileSystem::open(directory.path()).value();
  const SystemClock clock;
  SegmentPoolOptions options = small_pool();
  options.direct = false;
  SegmentPool pool(*files, clock, options);
  ASSERT_TRUE(pool.open().has_value());
  std::atomic<bool> stopping{false};
  std::thread maker([&] {
    while (!stopping.load())
      if (!pool.work()) pool.wait_for_work(std::chrono::milliseconds(5));
  });
  std::vector<std::thread> writers;
  std::array<std::uint64_t, 2> taken{};
  for (std::uint32_t reactor = 0; reactor < 2; ++reactor) {
    writers.emplace_back([&pool, &taken, reactor] {
      while (taken[reactor] < rounds) {
        const auto segment = pool.take(reactor);
        if (segment == nullptr) {
          std::this_thread::yield();
          continue;
        }
        if (segment->id != SegmentId{7, reactor, taken[reactor] + 1}) return;
        ++taken[reactor];
        if (!pool.recycle(segment_name(segment->id))) return;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  stopping.store(true);
  maker.join();
  EXPECT_EQ(taken, (std::array<std::uint64_t, 2>{rounds, rounds}));
  EXPECT_LE(pool.bytes(), 10 * segment_bytes);
}

}  // namespace
}  // namespace wellhead
