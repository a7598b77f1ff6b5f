#include "journal/segment_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>

#include "journal/posix_file_system.hpp"
#include "journal/testing/manual_clock.hpp"
#include "journal/testing/temporary_directory.hpp"
#include "journal/testing/writer_rig.hpp"

namespace wellhead {
namespace {

using journal_format::alignment;
using journal_format::SectionHeader;
using journal_format::SectionKind;

// By whether it writes around the page cache.
struct SegmentWriterTest : testing::TestWithParam<bool> {
  WriterRig rig{{.direct = GetParam()}};
  SegmentWriter& writer = rig.writer();
};

INSTANTIATE_TEST_SUITE_P(SegmentWriter, SegmentWriterTest, testing::Bool(),
                         [](const auto& each) { return each.param ? "Direct" : "ThroughThePageCache"; });

TEST_P(SegmentWriterTest, WritesABlockAsTheFormatSays) {
  Batch& first = rig.batch(2, {"alpha", "beta"});
  Batch& second = rig.batch(0, {"gamma"});
  const std::array<Batch*, 2> batches{&first, &second};
  const std::string ledger = "who said what";
  ASSERT_EQ(writer.append(batches, std::as_bytes(std::span(ledger)), 3), AppendStatus::planned);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  rig.disk().crash();

  const SegmentId id{5, 1, 1};
  const auto bytes = rig.disk().contents(segment_path(id));
  const auto segment = check_segment_header(bytes, rig.journal_id, id);
  ASSERT_TRUE(segment.has_value());
  EXPECT_EQ(segment->first_block, 1U);
  for (std::uint32_t index = 0; index < 3; ++index) {
    const auto section = bytes.subspan(alignment * (1 + index), alignment);
    const auto header = check_section_header(section, rig.journal_id, id);
    ASSERT_TRUE(header.has_value()) << index;
    EXPECT_EQ(header->block, 1U);
    EXPECT_EQ(header->section_index, index);
    EXPECT_EQ(header->section_count, 3U);
    EXPECT_EQ(header->block_bytes, 3 * alignment);
    EXPECT_EQ(header->written_us, rig.clock.wall_us());
    const auto payload = section.subspan(sizeof(SectionHeader), header->payload_bytes);
    EXPECT_EQ(header->payload_checksum, payload_checksum(payload));
    const auto padding = section.subspan(sizeof(SectionHeader) + header->payload_bytes);
    EXPECT_TRUE(std::ranges::all_of(padding, [](std::byte byte) { return byte == std::byte{0}; }));
    if (index < 2) {
      EXPECT_EQ(header->kind, SectionKind::rows);
      EXPECT_EQ(header->shard, batches[index]->shard());
      EXPECT_EQ(header->lane_sequence, 1U);
      EXPECT_EQ(header->row_count, batches[index]->row_count());
      EXPECT_TRUE(std::ranges::equal(payload, batches[index]->rows()));
    } else {
      EXPECT_EQ(header->kind, SectionKind::ledger);
      EXPECT_EQ(header->row_count, 3U);
      EXPECT_TRUE(std::ranges::equal(payload, std::as_bytes(std::span(ledger))));
    }
  }
}

TEST_P(SegmentWriterTest, NumbersTheBatchesOfEachLaneFromOne) {
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    Batch& a = rig.batch(0, {"a"});
    Batch& b = rig.batch(1, {"b"});
    Batch& c = rig.batch(1, {"c"});
    ASSERT_EQ(rig.append({&a, &b, &c}), AppendStatus::planned);
    EXPECT_EQ(a.lane(), (LaneId{5, 1, 0}));
    EXPECT_EQ(b.lane(), (LaneId{5, 1, 1}));
    EXPECT_EQ(a.lane_sequence(), sequence);
    EXPECT_EQ(b.lane_sequence(), 2 * sequence - 1);
    EXPECT_EQ(c.lane_sequence(), 2 * sequence);
    ASSERT_EQ(rig.finish(), CompleteResult::durable);
  }
  EXPECT_EQ(writer.stats().blocks.value(), 3U);
  EXPECT_EQ(writer.stats().sections.value(), 9U);
  EXPECT_EQ(writer.stats().rows.value(), 9U);
  EXPECT_EQ(writer.stats().bytes.value(), 9 * alignment);
  EXPECT_EQ(writer.stats().write_us.count(), 3U);
}

TEST_P(SegmentWriterTest, IsBusyWhileABlockIsOnItsWay) {
  EXPECT_TRUE(writer.writable());
  ASSERT_EQ(rig.append({&rig.batch(0, {"a"})}), AppendStatus::planned);
  EXPECT_FALSE(writer.writable());
  EXPECT_EQ(rig.append({&rig.batch(0, {"b"})}), AppendStatus::busy);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  EXPECT_TRUE(writer.writable());
  EXPECT_EQ(rig.append({&rig.batch(0, {"b"})}), AppendStatus::planned);
}

TEST_P(SegmentWriterTest, IsDurableOnlyWhenItSaysSo) {
  ASSERT_EQ(rig.append({&rig.batch(0, {"a"}), &rig.batch(1, {"b"})}), AppendStatus::planned);
  JournalOperation operation = writer.operation();
  ASSERT_EQ(operation.kind, JournalOperation::Kind::write);
  const auto written = operation.file->write(operation.pieces, operation.offset).value();
  const CompleteResult result = writer.complete(static_cast<std::int64_t>(written));
  if (GetParam()) {
    EXPECT_EQ(result, CompleteResult::durable);
    return;
  }
  ASSERT_EQ(result, CompleteResult::more);
  operation = writer.operation();
  ASSERT_EQ(operation.kind, JournalOperation::Kind::synchronize);
  EXPECT_TRUE(operation.pieces.empty());
  ASSERT_TRUE(operation.file->synchronize().has_value());
  EXPECT_EQ(writer.complete(0), CompleteResult::durable);
}

// What was not reported written is overwritten with what it should be, so the file tells where it was
// continued.
TEST_P(SegmentWriterTest, ContinuesAShortWriteWhereverItEnded) {
  const std::string row(5000, 'r');
  const std::uint64_t block_bytes = 2 * alignment + alignment + 2 * alignment;
  for (std::int64_t reported = 0; reported < static_cast<std::int64_t>(alignment + block_bytes);
       reported += 511) {
    WriterRig fresh{{.direct = GetParam()}};
    ASSERT_EQ(fresh.append({&fresh.batch(0, {row}), &fresh.batch(1, {"b"}), &fresh.batch(0, {row})}),
              AppendStatus::planned);
    const JournalOperation operation = fresh.writer().operation();
    ASSERT_EQ(operation.offset, 0U) << "the segment's header goes along";
    ASSERT_EQ(fresh.writer().complete(reported), CompleteResult::more);
    const JournalOperation rest = fresh.writer().operation();
    const std::uint64_t whole = static_cast<std::uint64_t>(reported) / alignment * alignment;
    ASSERT_EQ(rest.offset, whole);
    std::uint64_t left = 0;
    for (const iovec& piece : rest.pieces) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece.iov_base) % alignment, 0U);
      EXPECT_EQ(piece.iov_len % alignment, 0U);
      left += piece.iov_len;
    }
    EXPECT_EQ(whole + left, alignment + block_bytes);
    ASSERT_EQ(fresh.finish(), CompleteResult::durable);
  }
}

TEST_P(SegmentWriterTest, WritesAllOfABlockInHoweverManyShortWrites) {
  rig.disk().arm({.call = SimulatedCall::write, .error = SimulatedFault::shortened, .probability = 0.8});
  std::vector<std::string> rows;
  for (unsigned block = 0; block < 40; ++block) {
    rows.push_back(std::string(3000 + 17 * block, static_cast<char>('a' + block % 26)));
    ASSERT_EQ(rig.append({&rig.batch(0, {rows.back()})}), AppendStatus::planned);
    ASSERT_EQ(rig.finish(), CompleteResult::durable);
    rig.work();
  }
  rig.disk().crash();
  EXPECT_EQ(rig.rows_on_disk(0), rows);
}

TEST_P(SegmentWriterTest, RepeatsWhatWasInterruptedButNotForEver) {
  for (const int error : {EINTR, EAGAIN}) {
    ASSERT_EQ(rig.append({&rig.batch(0, {"a"})}), AppendStatus::planned);
    for (unsigned time = 0; time < 50; ++time) ASSERT_EQ(writer.complete(-error), CompleteResult::more);
    ASSERT_EQ(rig.finish(), CompleteResult::durable);
  }
  for (const int result : {-EINTR, -EAGAIN, 0}) {
    ASSERT_EQ(rig.append({&rig.batch(0, {"b"})}), AppendStatus::planned);
    unsigned times = 0;
    CompleteResult outcome = CompleteResult::more;
    while (outcome == CompleteResult::more && times++ < 1000) outcome = writer.complete(result);
    EXPECT_EQ(outcome, CompleteResult::failed);
    writer.reopen();
    rig.work();
  }
}

TEST_P(SegmentWriterTest, LatchesAtAnyOtherErrorAndSaysWhatToDo) {
  std::uint64_t failures = 0;
  for (const int error : {EIO, ENOSPC, EROFS, EDQUOT, EINVAL, EBADF, ENXIO, EFBIG, ECANCELED}) {
    Batch& batch = rig.batch(0, {"row"});
    ASSERT_EQ(rig.append({&batch}), AppendStatus::planned);
    EXPECT_EQ(writer.complete(-error), CompleteResult::failed);
    EXPECT_TRUE(writer.latched());
    EXPECT_FALSE(writer.writable());
    EXPECT_EQ(rig.append({&batch}), AppendStatus::latched);
    EXPECT_NE(writer.problem().find("SIGHUP"), std::string::npos);
    EXPECT_NE(writer.problem().find(std::strerror(error)), std::string::npos) << writer.problem();
    EXPECT_EQ(writer.stats().write_failures.value(), ++failures);
    writer.reopen();
    EXPECT_FALSE(writer.latched());
    EXPECT_EQ(writer.problem(), "");
    rig.work();
  }
  EXPECT_EQ(writer.stats().blocks.value(), 0U);
}

TEST(SegmentWriterThroughThePageCache, LatchesAtAFailedSynchronizationAlthoughTheWriteWasFine) {
  WriterRig rig{{.direct = false}};
  ASSERT_EQ(rig.append({&rig.batch(0, {"a"})}), AppendStatus::planned);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  rig.disk().arm({.call = SimulatedCall::synchronize, .error = EIO, .in = 1});
  ASSERT_EQ(rig.append({&rig.batch(0, {"b"})}), AppendStatus::planned);
  EXPECT_EQ(rig.finish(), CompleteResult::failed);
  EXPECT_NE(rig.writer().problem().find("synchronize"), std::string::npos);
  rig.writer().reopen();
  rig.work();
  ASSERT_EQ(rig.append({&rig.batch(0, {"c"})}), AppendStatus::planned);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  rig.disk().crash();
  EXPECT_EQ(rig.rows_on_disk(0), (std::vector<std::string>{"a", "c"}));
}

// The failed block is on disk as a whole: its write was reported failed all the same.
TEST_P(SegmentWriterTest, CutsAFailedBlockOffOnceAnotherTookItsPlace) {
  ASSERT_EQ(rig.append({&rig.batch(0, {"a"})}), AppendStatus::planned);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  Batch& failed = rig.batch(0, {"failed"});
  ASSERT_EQ(rig.append({&failed}), AppendStatus::planned);
  rig.write_whole_but_report(-EIO);
  EXPECT_EQ(failed.lane_sequence(), 2U);
  EXPECT_EQ(rig.rows_on_disk(0), (std::vector<std::string>{"a", "failed"})) << "as a recovery would find it";
  writer.reopen();
  rig.work();

  Batch& again = rig.batch(0, {"again"});
  ASSERT_EQ(rig.append({&again}), AppendStatus::planned);
  rig.write_whole_but_report(-EIO);
  EXPECT_EQ(rig.rows_on_disk(0), (std::vector<std::string>{"a", "again"}));
  writer.reopen();
  rig.work();

  Batch& third = rig.batch(0, {"third"});
  ASSERT_EQ(rig.append({&third}), AppendStatus::planned);
  EXPECT_EQ(third.lane_sequence(), 2U);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  EXPECT_EQ(rig.rows_on_disk(0), (std::vector<std::string>{"a", "third"}));
  EXPECT_EQ(rig.catalog.segments().size(), 3U);
}

TEST_P(SegmentWriterTest, IgnoresReopeningWhenNothingIsWrong) {
  ASSERT_EQ(rig.append({&rig.batch(0, {"a"})}), AppendStatus::planned);
  writer.reopen();
  EXPECT_EQ(rig.append({&rig.batch(0, {"b"})}), AppendStatus::busy);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  writer.reopen();
  ASSERT_EQ(rig.append({&rig.batch(0, {"b"})}), AppendStatus::planned);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  EXPECT_EQ(rig.catalog.segments().size(), 1U);
}

TEST_P(SegmentWriterTest, TurnsToTheNextSegmentWhenABlockDoesNotFit) {
  const std::uint64_t room = WriterRig::segment_bytes - alignment;
  const std::string filling(room / 3 - sizeof(SectionHeader) - sizeof(RowHeader), 'x');
  std::vector<std::string> rows;
  for (unsigned block = 0; block < 6; ++block) {
    rows.push_back(filling);
    ASSERT_EQ(rig.append({&rig.batch(0, {filling})}), AppendStatus::planned);
    ASSERT_EQ(rig.finish(), CompleteResult::durable);
    rig.work();
  }
  EXPECT_EQ(rig.catalog.segments().size(), 2U) << "three blocks fill a segment to its last byte";
  rows.push_back("small");
  ASSERT_EQ(rig.append({&rig.batch(0, {"small"})}), AppendStatus::planned);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  rig.disk().crash();
  EXPECT_EQ(rig.rows_on_disk(0), rows);
  EXPECT_EQ(rig.catalog.segments().size(), 3U);
}

TEST_P(SegmentWriterTest, TellsTheCatalogWhichSequencesASegmentBeginsWith) {
  for (unsigned block = 0; block < 5; ++block) {
    const std::string ledger = "entry";
    Batch& batch = rig.batch(block % 2, {std::string(WriterRig::segment_bytes / 2, 'x')});
    const std::array<Batch*, 1> batches{&batch};
    ASSERT_EQ(writer.append(batches, std::as_bytes(std::span(ledger)), 1), AppendStatus::planned);
    ASSERT_EQ(rig.finish(), CompleteResult::durable);
    rig.work();
  }
  const auto segments = rig.catalog.segments();
  ASSERT_EQ(segments.size(), 5U);
  for (std::size_t index = 0; index < 4; ++index) {
    EXPECT_EQ(segments[index].end_block, index + 2);
    EXPECT_EQ(segments[index].ledger_sections, 1U);
    ASSERT_EQ(segments[index].lanes.size(), 1U);
    EXPECT_EQ(segments[index].lanes[0].shard, index % 2);
    EXPECT_EQ(segments[index].lanes[0].first, index / 2 + 1);
    EXPECT_EQ(segments[index].lanes[0].last, index / 2 + 1);
  }
  EXPECT_TRUE(segments.back().active);
}

TEST_P(SegmentWriterTest, WaitsForASegmentThatIsNotReady) {
  const std::string large(WriterRig::segment_bytes / 2, 'x');
  ASSERT_EQ(rig.append({&rig.batch(0, {large})}), AppendStatus::planned);
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  Batch& next = rig.batch(0, {large});
  EXPECT_EQ(rig.append({&next}), AppendStatus::not_ready);
  EXPECT_FALSE(writer.writable());
  EXPECT_NE(writer.problem(), "");
  rig.work();
  EXPECT_TRUE(writer.writable());
  EXPECT_EQ(writer.problem(), "");
  ASSERT_EQ(rig.append({&next}), AppendStatus::planned);
  EXPECT_EQ(next.lane_sequence(), 2U) << "a refused batch takes no number";
  EXPECT_EQ(rig.finish(), CompleteResult::durable);
  EXPECT_EQ(writer.stats().full_refusals.value(), 0U);
}

TEST(SegmentWriterAtItsBound, IsFullUntilASegmentComesBack) {
  WriterRig rig{{.segments_max = 3}};
  SegmentWriter& writer = rig.writer();
  const std::string large(WriterRig::segment_bytes / 2, 'x');
  AppendStatus status = AppendStatus::planned;
  unsigned blocks = 0;
  while ((status = rig.append({&rig.batch(0, {large})})) == AppendStatus::planned) {
    ASSERT_EQ(rig.finish(), CompleteResult::durable);
    rig.work();
    ASSERT_LE(++blocks, 2U);
  }
  EXPECT_EQ(blocks, 2U) << "the third segment is ready for another writer";
  EXPECT_EQ(status, AppendStatus::full);
  EXPECT_EQ(writer.stats().full_refusals.value(), 1U);
  EXPECT_FALSE(writer.writable());
  EXPECT_NE(writer.problem().find("limit"), std::string::npos) << writer.problem();
  ASSERT_EQ(rig.append({&rig.batch(0, {"small"})}), AppendStatus::planned) << "what fits still goes in";
  ASSERT_EQ(rig.finish(), CompleteResult::durable);
  ASSERT_TRUE(rig.pool().recycle(segment_name({5, 1, 1})).has_value());
  rig.work();
  EXPECT_TRUE(writer.writable());
  EXPECT_EQ(rig.append({&rig.batch(0, {large})}), AppendStatus::planned);
  EXPECT_EQ(rig.finish(), CompleteResult::durable);
}

TEST_P(SegmentWriterTest, NeverShowsWhatARecycledFileHeldBefore) {
  const std::string large(WriterRig::segment_bytes / 3, 'x');
  for (std::uint64_t number = 1; number <= 20; ++number) {
    for (unsigned block = 0; block < 2; ++block) {
      ASSERT_EQ(rig.append({&rig.batch(0, {large})}), AppendStatus::planned);
      ASSERT_EQ(rig.finish(), CompleteResult::durable);
    }
    rig.work();
    if (number < 2) continue;
    ASSERT_TRUE(rig.pool().recycle(segment_name({5, 1, number - 1})).has_value());
    rig.work();
  }
  EXPECT_EQ(rig.rows_on_disk(0).size(), 2U) << "those of the segment that is written";
  rig.disk().crash();
  EXPECT_EQ(rig.rows_on_disk(0).size(), 2U);
  EXPECT_LE(rig.pool().bytes(), 5 * WriterRig::segment_bytes);
}

TEST_P(SegmentWriterTest, WritesMoreSectionsThanTheKernelTakesAtOnce) {
  WriterRig wide{{.direct = GetParam(), .segment_bytes = 8 << 20}};
  std::vector<Batch*> batches;
  std::vector<std::string> rows;
  for (unsigned index = 0; index < 1500; ++index) {
    rows.push_back(std::to_string(index));
    batches.push_back(&wide.batch(0, {rows.back()}));
  }
  ASSERT_EQ(wide.writer().append(batches, {}, 0), AppendStatus::planned);
  EXPECT_EQ(wide.writer().operation().pieces.size(), 1024U);
  ASSERT_EQ(wide.finish(), CompleteResult::durable);
  EXPECT_EQ(wide.rows_on_disk(0), rows);
}

using SegmentWriterDeathTest = SegmentWriterTest;
INSTANTIATE_TEST_SUITE_P(SegmentWriter, SegmentWriterDeathTest, testing::Values(true));

TEST_P(SegmentWriterDeathTest, StopsTheProcessWhenItIsMisused) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(static_cast<void>(writer.operation()), "state_");
  EXPECT_DEATH(static_cast<void>(writer.complete(0)), "state_");
  EXPECT_DEATH(static_cast<void>(rig.append({&rig.batch(0, {})})), "empty");
  EXPECT_DEATH(static_cast<void>(rig.append({&rig.batch(9, {"a"})})), "shards");
  ASSERT_EQ(rig.append({&rig.batch(0, {"a"})}), AppendStatus::planned);
  EXPECT_DEATH(static_cast<void>(writer.complete(1 << 20)), "bytes <=");
}

}  // namespace
}  // namespace wellhead
