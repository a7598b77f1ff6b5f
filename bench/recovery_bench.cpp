// How long a journal takes to open, and how fast its lanes are read back, beside a bare sequential read of
// the same files in the same run.
//
//   build/release/bin/recovery_bench [MiB in all] [KiB per section] [DIR] [runs]
//
// Written in several runs, the journal has a last segment of each that is only partly used: 512 64 /tmp 16
// gives 16 half-used segments of 64 MiB.
//
// The journal is written around the page cache where the file system allows it, so opening it reads the disk.
#include <fcntl.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "journal/journal.hpp"
#include "journal/posix_file_system.hpp"
#include "journal/testing/journal_driver.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t shards = 4;

struct Plan {
  std::uint64_t bytes;
  std::size_t section_bytes;
  std::string directory;
  unsigned runs;
};

JournalOptions options_of(const Plan& plan) {
  JournalOptions options;
  options.node_id = "recovery-bench";
  options.shards = shards;
  options.batch_bytes = plan.section_bytes;
  options.bytes_max = 4 * plan.bytes + (1ULL << 30U);
  options.free_bytes_min = 0;
  return options;
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::unique_ptr<Journal> open_journal(FileSystem& files, const Clock& clock, const Plan& plan) {
  auto journal = Journal::open(files, clock, options_of(plan));
  if (!journal) std::fprintf(stderr, "%s\n", journal.error().sentence.c_str());
  WELLHEAD_ASSERT(journal.has_value());
  return std::move(*journal);
}

void write_journal(FileSystem& files, const Clock& clock, const Plan& plan) {
  const auto journal = open_journal(files, clock, plan);
  constexpr std::uint32_t tuple_bytes = 160;
  std::vector<Batch> batches;
  std::vector<Batch*> pointers;
  pointers.reserve(shards);
  for (std::uint32_t shard = 0; shard < shards; ++shard) {
    batches.emplace_back(plan.section_bytes, 0);
    const auto rows = (plan.section_bytes - Batch::header_room_bytes) / row_bytes(tuple_bytes);
    fill_batch(batches.back(), shard, static_cast<std::uint32_t>(rows), tuple_bytes, shard);
  }
  for (Batch& batch : batches) pointers.push_back(&batch);
  for (std::uint64_t written = 0; written < plan.bytes / plan.runs; written += shards * plan.section_bytes) {
    while (journal->writer(0).append(pointers) != AppendStatus::planned) std::ignore = journal->work();
    WELLHEAD_ASSERT(carry_out(journal->writer(0)) == CompleteResult::durable);
  }
}

// What was written through the page cache or read before would be read from memory.
void drop_from_cache(const Plan& plan) {
  for (const auto& file : std::filesystem::directory_iterator(plan.directory + "/segments")) {
    const UniqueFd descriptor(::open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
    WELLHEAD_ASSERT(descriptor.get() >= 0 &&
                    ::posix_fadvise(descriptor.get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
  }
}

void read_bare(FileSystem& files) {
  std::vector<std::byte> buffer(1U << 20);
  const auto names = files.list("segments");
  for (const std::string& name : names.value()) {
    const auto file = files.open("segments/" + name, OpenMode::read);
    for (std::uint64_t at = 0;; at += buffer.size())
      if ((*file)->read(buffer, at).value() == 0) break;
  }
}

std::uint64_t read_lanes(Journal& journal, const Plan& plan) {
  Batch batch(plan.section_bytes, Batch::no_reactor);
  std::uint64_t rows = 0;
  for (const OldLane& lane : journal.survey().lanes) {
    const auto reader = journal.reader(lane.lane, lane.first);
    while (reader->next(batch, lane.last) == JournalReader::Status::read) rows += batch.row_count();
    WELLHEAD_ASSERT(reader->problem().empty());
  }
  return rows;
}

void run(const Plan& plan) {
  const SystemClock clock;
  for (unsigned written = 0; written < plan.runs; ++written) {
    // The writing run's hold on the directory ends with its file system.
    const auto writing = PosixFileSystem::open(plan.directory);
    WELLHEAD_ASSERT(writing.has_value());
    write_journal(**writing, clock, plan);
  }
  const auto files = PosixFileSystem::open(plan.directory);
  WELLHEAD_ASSERT(files.has_value());
  drop_from_cache(plan);
  const double bare = seconds_of([&] { read_bare(**files); });
  drop_from_cache(plan);
  std::unique_ptr<Journal> journal;
  const double open = seconds_of([&] { journal = open_journal(**files, clock, plan); });
  drop_from_cache(plan);
  std::uint64_t rows = 0;
  const double lanes = seconds_of([&] { rows = read_lanes(*journal, plan); });
  std::printf("%llu MiB in sections of %zu KiB, %llu segments\n",
              static_cast<unsigned long long>(plan.bytes >> 20U), plan.section_bytes >> 10U,
              static_cast<unsigned long long>(journal->survey().segments));
  std::printf("bare sequential read  %.3f s\nopen                  %.3f s\n", bare, open);
  std::printf("read back, %u lanes    %.3f s, %.1f million rows/s\n", shards, lanes,
              static_cast<double>(rows) / lanes / 1e6);
}

}  // namespace
}  // namespace wellhead

int main(int count, char** arguments) {
  wellhead::Plan plan{1024ULL << 20U, 64U << 10U, "", 1};
  if (count > 1) plan.bytes = std::strtoull(arguments[1], nullptr, 10) << 20U;
  if (count > 2) plan.section_bytes = std::strtoull(arguments[2], nullptr, 10) << 10U;
  if (count > 4) plan.runs = static_cast<unsigned>(std::strtoul(arguments[4], nullptr, 10));
  std::string pattern =
      (count > 3 ? std::string(arguments[3]) : std::string("/tmp")) + "/recovery-bench-XXXXXX";
  WELLHEAD_ASSERT(plan.bytes > 0 && plan.runs > 0 && plan.section_bytes >= 8192 &&
                  ::mkdtemp(pattern.data()) != nullptr);
  plan.directory = pattern;
  wellhead::run(plan);
  std::filesystem::remove_all(plan.directory);
  return 0;
}
