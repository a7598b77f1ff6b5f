#include "engine/doctor_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/unique_fd.hpp"
#include "engine/journal_check.hpp"
#include "journal/aligned_memory.hpp"

namespace wellhead {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t block_bytes = 64U << 10;
constexpr std::uint32_t blocks = 64;  // of the file, written over and over, as the journal's segments are
constexpr std::uint32_t samples_max = 448;
constexpr std::chrono::milliseconds time_max{1'000};

// statfs(2); the magic numbers are the kernel's.
constexpr std::array<std::pair<std::uint64_t, std::string_view>, 14> file_systems{{{0xEF53, "ext4"},
                                                                                   {0x58465342, "xfs"},
                                                                                   {0x9123683E, "btrfs"},
                                                                                   {0x2FC12FC1, "zfs"},
                                                                                   {0xF2F52010, "f2fs"},
                                                                                   {0x01021994, "tmpfs"},
                                                                                   {0x858458F6, "ramfs"},
                                                                                   {0x794C7630, "overlay"},
                                                                                   {0x6969, "nfs"},
                                                                                   {0xFF534D42, "cifs"},
                                                                                   {0xFE534D42, "smb2"},
                                                                                   {0x65735546, "fuse"},
                                                                                   {0x01021997, "9p"},
                                                                                   {0xCA451A4E, "bcachefs"}}};

std::string name_of_file_system(std::uint64_t magic) {
  const auto known = std::ranges::find(file_systems, magic, &decltype(file_systems)::value_type::first);
  return known != file_systems.end() ? std::string(known->second) : fmt::format("{:#x}", magic);
}

// A file that no name leads to; where the file system cannot do that, one whose name is taken away at once.
UniqueFd open_nameless(const std::string& directory, int flags) {
  UniqueFd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600));
  if (file || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return file;
  std::string path = directory + "/.wellhead-doctor-XXXXXX";
  file.reset(::mkostemp(path.data(), O_CLOEXEC | flags));
  const int error = errno;
  if (file) ::unlink(path.c_str());
  errno = error;
  return file;
}

// Milliseconds of one durable write; negative for an error.
double write_block(int file, const AlignedMemory& block, std::uint32_t number) {
  const auto begun = steady_clock::now();
  const auto offset = static_cast<off_t>(number % blocks * block_bytes);
  const ssize_t written = ::pwrite(file, block.bytes().data(), block_bytes, offset);
  if (std::cmp_not_equal(written, block_bytes)) return -1;
  return std::chrono::duration<double, std::milli>(steady_clock::now() - begun).count();
}

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(static_cast<double>(sorted.size() - 1) * share)];
}

std::uint64_t bytes_below(const std::string& directory) {
  std::uint64_t bytes = 0;
  std::error_code error;
  const auto options = std::filesystem::directory_options::skip_permission_denied;
  for (std::filesystem::recursive_directory_iterator entry(directory, options, error), end;
       !error && entry != end; entry.increment(error)) {
    struct stat status{};
    if (::lstat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
      bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

std::string directory_above(const std::string& directory) {
  const std::filesystem::path path = std::filesystem::path(directory).parent_path();
  return path.empty() ? "." : path.string();
}

}  // namespace

JournalWishes journal_wishes(const Config& config) {
  return {config.journal.limits.bytes_max, config.journal.limits.free_bytes_min,
          config.journal.direct == "required"};
}

SyncLatency measure_sync_latency(const std::string& directory) {
  SyncLatency latency;
  latency.direct = true;
  UniqueFd file = open_nameless(directory, O_DIRECT | O_DSYNC);
  if (!file && errno == EINVAL) {
    latency.direct = false;
    file = open_nameless(directory, O_DSYNC);
  }
  const AlignedMemory block(block_bytes, AlignedMemory::Content::zeros);
  std::vector<double> times;
  const auto deadline = steady_clock::now() + time_max;
  // The first time around makes the file's blocks, which the journal does ahead of time. It counts only where
  // the disk is too slow for a second one.
  for (std::uint32_t number = 0; file && number < blocks + samples_max && steady_clock::now() < deadline;
       ++number) {
    const double time = write_block(file.get(), block, number);
    if (time < 0) break;
    if (number == blocks) times.clear();
    times.push_back(time);
  }
  if (times.empty()) {
    latency.problem = std::strerror(errno);
    return latency;
  }
  std::ranges::sort(times);
  latency.samples = static_cast<std::uint32_t>(times.size());
  latency.p50_ms = percentile(times, 0.50);
  latency.p99_ms = percentile(times, 0.99);
  return latency;
}

JournalFacts gather_journal(const Config& config) {
  JournalFacts facts;
  facts.enabled = config.journal.enabled;
  facts.directory = config.journal.directory;
  if (!facts.enabled) return facts;
  facts.problems = check_journal(config).problems;
  std::error_code error;
  facts.there = std::filesystem::is_directory(facts.directory, error);
  const std::string place = facts.there ? facts.directory : directory_above(facts.directory);
  struct statfs status{};
  if (::statfs(place.c_str(), &status) != 0) return facts;
  facts.file_system = name_of_file_system(static_cast<std::uint64_t>(status.f_type) & 0xFFFFFFFF);
  facts.free_bytes = static_cast<std::uint64_t>(status.f_bavail) * static_cast<std::uint64_t>(status.f_bsize);
  facts.used_bytes = facts.there ? bytes_below(facts.directory) : 0;
  facts.latency = measure_sync_latency(place);
  return facts;
}

}  // namespace wellhead
