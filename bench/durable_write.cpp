// How long a bare durable write takes while something else goes on: what an acknowledgement is measured
// against.
//
//   build/release/bin/durable_write DIRECTORY [WRITES_PER_SECOND]
//
// Writes 64 KiB with O_DIRECT | O_DSYNC at a time, round a file of zeros made before, as the journal's
// segments are, until its standard input ends. Each write is a line: when it began, in nanoseconds of
// CLOCK_MONOTONIC, so that the reader can tell what else went on at that time, and how many microseconds it
// took. A line "ready" comes before the first. DIRECTORY is on the file system in question; the file goes in
// the end.
//
// The pauses vary between half and one and a half of the period: with equal ones, the writes would keep step
// with a load that comes at equal intervals too, and always meet it or never.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "journal/aligned_memory.hpp"
#include "journal/posix_file_system.hpp"

namespace wellhead {
namespace {

constexpr std::size_t block_bytes = 64 << 10;
constexpr std::uint64_t file_bytes = 64ULL << 20;
constexpr unsigned writes_per_second_default = 40;
constexpr unsigned writes_per_second_max = 1000;
constexpr int exit_usage = 64;
constexpr int exit_io = 74;

// The file that is written round and round.
class ZeroedFile {
 public:
  // The error is an errno.
  static FileResult<ZeroedFile> make(FileSystem& files, const std::string& name) {
    const auto zeroed = write_zeros(files, name);
    if (!zeroed) return std::unexpected(zeroed.error());
    auto direct = files.open(name, OpenMode::synchronous_direct);
    if (!direct) return std::unexpected(direct.error());
    return ZeroedFile(std::move(*direct));
  }

  // Returns when the next block is durable.
  FileResult<void> write_block() {
    const iovec piece{block_.data(), block_.size()};
    const auto written = file_->write({&piece, 1}, offset_);
    if (!written) return std::unexpected(written.error());
    WELLHEAD_ASSERT(*written == block_.size());
    offset_ = (offset_ + block_.size()) % file_bytes;
    return {};
  }

 private:
  explicit ZeroedFile(std::unique_ptr<File> file) : file_(std::move(file)) {
    std::memset(block_.data(), 0x5a, block_.size());
  }

  static FileResult<void> write_zeros(FileSystem& files, const std::string& name) {
    auto file = files.open(name, OpenMode::create);
    if (!file) return std::unexpected(file.error());
    const AlignedMemory zeros(1 << 20);
    const iovec piece{zeros.data(), zeros.size()};
    for (std::uint64_t offset = 0; offset < file_bytes;) {
      const auto written = (*file)->write({&piece, 1}, offset);
      if (!written) return std::unexpected(written.error());
      offset += *written;
    }
    return (*file)->synchronize();
  }

  std::unique_ptr<File> file_;
  AlignedMemory block_{block_bytes};
  std::uint64_t offset_ = 0;
};

// Waits, and says whether the standard input has ended meanwhile.
bool ended_within(std::chrono::milliseconds pause) {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (::poll(&input, 1, static_cast<int>(pause.count())) <= 0) return false;
  char byte = 0;
  return ::read(STDIN_FILENO, &byte, sizeof byte) <= 0;
}

FileResult<void> write_until_ended(ZeroedFile& file, unsigned writes_per_second) {
  const SystemClock clock;
  const int period_ms = static_cast<int>(1000 / writes_per_second);
  std::minstd_rand random(1);
  std::uniform_int_distribution pause_ms(period_ms / 2, period_ms + period_ms / 2);
  fmt::print("ready\n");
  while (std::fflush(stdout) == 0 && !ended_within(std::chrono::milliseconds(pause_ms(random)))) {
    const std::int64_t begin_ns = clock.monotonic_ns();
    if (const auto written = file.write_block(); !written) return written;
    fmt::print("{} {}\n", begin_ns, (clock.monotonic_ns() - begin_ns) / 1000);
  }
  return {};
}

int fail(const std::string& directory, int error) {
  fmt::print(stderr, "No durable write could be measured in {}: {}\n", directory, std::strerror(error));
  return exit_io;
}

int run(const std::string& directory, unsigned writes_per_second) {
  const auto files = PosixFileSystem::open(directory);
  if (!files) return fail(directory, files.error());
  const std::string name = fmt::format("durable-write-{}", ::getpid());
  auto file = ZeroedFile::make(**files, name);
  const auto done = file ? write_until_ended(*file, writes_per_second) : std::unexpected(file.error());
  std::ignore = (*files)->remove(name);
  return done ? 0 : fail(directory, done.error());
}

}  // namespace
}  // namespace wellhead

int main(int argument_count, char** arguments) {
  using namespace wellhead;
  unsigned writes_per_second = writes_per_second_default;
  if (argument_count > 2) {
    const std::string_view text = arguments[2];
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), writes_per_second);
    if (parsed.ec != std::errc()) writes_per_second = 0;
  }
  if (argument_count < 2 || writes_per_second == 0 || writes_per_second > writes_per_second_max) {
    fmt::print(stderr, "usage: durable_write DIRECTORY [WRITES_PER_SECOND], 1 to {} of them\n",
               writes_per_second_max);
    return exit_usage;
  }
  return run(arguments[1], writes_per_second);
}
