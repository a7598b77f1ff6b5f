// Segments made ready ahead of the writers, so that a writer never waits for a file to be made.
//
//   nothing ──make──▶ spare ──header, rename──▶ ready (a writer's slot) ──take──▶ written ──trim──▶ recycle
//                       ▲                                                                              │
//                       └──────────────────────────── rename ◀─────────────────────────────────────────┘
//
// In:  take() by the writers, recycle() by the trimmer. Out: files that are allocated and full of bytes
// already, so that a write into them changes no metadata of the file system. A file's name is durable before
// a writer gets it. A recycled file keeps its old bytes: every section names the segment it was written to,
// so nobody takes them for new.
//
// Threads: take(), availability() and the numbers: any, without a lock or a wait. work() and recycle(): any
// but a reactor's; they wait for the disk and for each other.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "journal/aligned_memory.hpp"
#include "journal/file_system.hpp"
#include "journal/format.hpp"
#include "journal/section.hpp"

namespace wellhead {

struct SegmentPoolOptions {
  journal_format::JournalId journal_id{};
  std::uint32_t epoch = 1;
  std::uint32_t reactors = 1;
  std::uint64_t segment_bytes = 64ULL << 20;
  std::uint64_t bytes_max = 4ULL << 30;         // all files, spare and foreign ones included
  std::uint64_t free_bytes_min = 256ULL << 20;  // left to others when a file is made
  // O_DIRECT | O_DSYNC, which the caller has found to work (direct_io_works), or else the page cache.
  bool direct = true;
  std::uint32_t spare_made = 1;  // spare segments made ahead of need
  std::uint32_t spare_kept = 8;  // and kept when they come back
  std::chrono::milliseconds retry_pause{1000};
};

// A segment for one writer: its header is durable with first_block 0, its bytes are all there.
struct ReadySegment {
  SegmentId id;
  std::unique_ptr<File> file;
  std::uint64_t bytes;
};

// Why a writer's slot is empty.
enum class SegmentAvailability : std::uint8_t {
  ready,      // it is not
  preparing,  // soon there is one
  full,       // a bound is reached or no file can be made: problem() says which
};

// Whether files can be written around the page cache here; false: the file system has no O_DIRECT. Leaves
// nothing behind. REQUIRES the spare directory.
[[nodiscard]] FileResult<bool> direct_io_works(FileSystem& files);

class SegmentPool {
 public:
  // `files` and `clock` outlive the pool.
  SegmentPool(FileSystem& files, const Clock& clock, const SegmentPoolOptions& options);
  ~SegmentPool();

  // Makes the directories, counts the files there are, keeps the spare ones that fit and removes the others.
  // Before everything else.
  [[nodiscard]] FileResult<void> open();

  // Does one bounded piece of what is to be done: fills empty slots, else writes some MiB of a spare segment.
  // Whether there was anything to do; after a failure there is nothing until the pause is over.
  bool work();
  // Blocks until a slot was emptied, space came back or the time is over.
  void wait_for_work(std::chrono::milliseconds timeout);

  // The reactor's segment, or nothing; then availability() says why. One thread per reactor.
  [[nodiscard]] std::unique_ptr<ReadySegment> take(std::uint32_t reactor) noexcept;
  [[nodiscard]] SegmentAvailability availability(std::uint32_t reactor) const noexcept;

  // A segment that nobody needs any more, by its name in the segments' directory, becomes spare, or goes if
  // there are enough or its size is another. Durable when it returns.
  [[nodiscard]] FileResult<void> recycle(const std::string& name);

  // Why no more segments are made, a sentence; empty while they are.
  [[nodiscard]] std::string problem() const;
  // Of all files there are.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t spare_count() const noexcept {
    return spare_count_.load(std::memory_order_relaxed);
  }

 private:
  // On a cache line of its own: a reactor's take does not disturb another's.
  struct alignas(64) Slot {
    std::atomic<ReadySegment*> ready{nullptr};
    std::uint64_t segment_next = 1;  // under mutex_
  };
  // A spare file on its way.
  struct Making {
    std::string path;         // when it is whole
    std::string making_path;  // until then
    std::unique_ptr<File> file;
    std::uint64_t written;
  };
  struct Failure {
    const char* doing;
    int error;
  };
  using Done = std::expected<void, Failure>;

  // All of these under mutex_.
  [[nodiscard]] FileResult<void> count_segments();
  [[nodiscard]] FileResult<void> adopt_spares();
  [[nodiscard]] FileResult<void> adopt_spare(const std::string& name);
  [[nodiscard]] bool fill_slots(Done& done);
  [[nodiscard]] Done fill_slot(std::uint32_t reactor);
  void drop_spare(std::uint32_t reactor);
  [[nodiscard]] FileResult<void> write_header(File& file, const SegmentId& id);
  [[nodiscard]] FileResult<void> synchronize_directories();
  [[nodiscard]] bool make_spare(Done& done);
  [[nodiscard]] bool within_bounds(bool needed);
  [[nodiscard]] Done begin_spare();
  [[nodiscard]] Done continue_spare();
  [[nodiscard]] Done finish_spare();
  void give_up_spare();
  [[nodiscard]] FileResult<void> keep_as_spare(const std::string& path);
  [[nodiscard]] FileResult<void> remove_segment(const std::string& path, std::uint64_t size);
  [[nodiscard]] std::string next_spare_path();
  void set_spare_count() noexcept;
  void pause();
  void settle(const Failure& failure);

  [[nodiscard]] static Done failure(const char* doing, int error);
  [[nodiscard]] std::size_t empty_slots() const noexcept;
  [[nodiscard]] OpenMode mode() const noexcept;
  void report(bool full, std::string sentence);

  FileSystem& files_;
  const Clock& clock_;
  SegmentPoolOptions options_;
  std::vector<Slot> slots_;

  std::mutex mutex_;                 // work() and recycle(), with their I/O; guards what follows
  std::vector<std::string> spares_;  // paths
  std::optional<Making> making_;
  std::uint64_t spare_next_ = 1;
  std::int64_t retry_at_ns_ = INT64_MIN;
  AlignedMemory zeros_;
  AlignedMemory header_;

  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint32_t> spare_count_{0};
  std::atomic<bool> full_{false};
  std::counting_semaphore<> wanted_{0};

  mutable std::mutex problem_mutex_;
  std::string problem_;
};

}  // namespace wellhead
