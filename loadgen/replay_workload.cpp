#include "loadgen/replay_workload.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/unique_fd.hpp"
#include "loadgen/replay_matcher.hpp"
#include "loadgen/replay_record.hpp"

namespace wellhead::loadgen {
namespace {

// Records due within this time of a batch's first go with it; the batch is due when its last record is.
constexpr std::int64_t batch_span_ns = 10'000'000;
constexpr std::size_t line_bytes_max = std::size_t{1} << 30;

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::string_view device_key(StreamKind stream) noexcept {
  return stream == StreamKind::telemetry ? "device_id" : "well_id";
}

std::expected<MappedFile, std::string> MappedFile::open(const std::string& path) {
  const auto failure = [&path](int error) {
    return std::unexpected(fmt::format("cannot read '{}': {}", path, std::system_category().message(error)));
  };
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) return failure(errno);
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes == 0) return std::unexpected(fmt::format("'{}' is empty: there is nothing to replay", path));
  void* memory = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED) return failure(errno);
  return MappedFile(std::string_view(static_cast<const char*>(memory), bytes));
}

MappedFile::MappedFile(MappedFile&& other) noexcept : text_(std::exchange(other.text_, {})) {}

MappedFile::~MappedFile() {
  // munmap() is not const-correct; the mapping is ours.
  if (!text_.empty()) munmap(const_cast<char*>(text_.data()), text_.size());
}

ReplayWorkload::ReplayWorkload(MappedFile file, StreamKind stream) : file_(std::move(file)), stream_(stream) {
  const std::string_view text = file_.text();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    // Blank lines are no records (docs/protocol.md).
    if (!blank(line)) lines_.push_back({.offset = begin, .bytes = static_cast<std::uint32_t>(line.size())});
    begin = end + 1;
  }
}

std::expected<std::unique_ptr<ReplayWorkload>, std::string> ReplayWorkload::open(const Options& options) {
  auto file = MappedFile::open(options.replay_path);
  if (!file) return std::unexpected(std::move(file.error()));
  std::unique_ptr<ReplayWorkload> workload(new ReplayWorkload(std::move(*file), options.stream));
  if (workload->records() == 0) {
    return std::unexpected(
        fmt::format("'{}' holds no records: there is nothing to replay", options.replay_path));
  }
  for (const Line& line : workload->lines_) {
    if (line.bytes > line_bytes_max) {
      return std::unexpected(
          fmt::format("'{}' has a line over {} bytes", options.replay_path, line_bytes_max));
    }
  }
  return workload;
}

std::string_view ReplayWorkload::line(std::uint64_t record) const noexcept {
  const Line& line = lines_[record];
  return file_.text().substr(line.offset, line.bytes);
}

std::size_t ReplayWorkload::text_bytes_max(RecordRange range) const {
  std::size_t bytes = 0;
  for (std::uint32_t offset = 0; offset < range.count; ++offset)
    bytes += lines_[range.first + offset].bytes + 1;
  return bytes;
}

char* ReplayWorkload::render(RecordRange range, char* out, std::vector<std::uint32_t>& bad_offsets) const {
  static_cast<void>(bad_offsets);
  for (std::uint32_t offset = 0; offset < range.count; ++offset) {
    const std::string_view text = line(range.first + offset);
    std::memcpy(out, text.data(), text.size());
    out += text.size();
    *out++ = '\n';
  }
  return out;
}

std::unique_ptr<Schedule> ReplayWorkload::make_schedule(const Options& options) const {
  const bool paced = options.pacing == Pacing::rate;
  ReplayRecordReader reader(stream_);
  std::vector<RecordedSchedule::Entry> entries;
  std::optional<std::int64_t> first_us;
  std::int64_t due_ns = 0;
  std::int64_t batch_begin_ns = 0;
  for (std::uint64_t record = 0; record < records(); ++record) {
    const std::optional<std::int64_t> unix_us = paced ? reader.key(line(record)).unix_us : std::nullopt;
    if (unix_us && !first_us) first_us = unix_us;
    if (unix_us) {
      const double offset_ns = static_cast<double>(*unix_us - *first_us) * 1e3 / options.speed;
      due_ns = std::max(due_ns, static_cast<std::int64_t>(offset_ns));
    }
    const bool joins = !entries.empty() && entries.back().range.count < options.replay_batch &&
                       due_ns - batch_begin_ns < batch_span_ns;
    if (!joins) {
      entries.push_back({.range = {.first = record, .count = 0}, .due_offset_ns = 0});
      batch_begin_ns = due_ns;
    }
    ++entries.back().range.count;
    entries.back().due_offset_ns = due_ns;
  }
  return std::make_unique<RecordedSchedule>(std::move(entries), paced);
}

std::unique_ptr<RowMatcher> ReplayWorkload::make_matcher() const {
  return std::make_unique<ReplayMatcher>(*this);
}

}  // namespace wellhead::loadgen
