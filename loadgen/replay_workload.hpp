// A recorded NDJSON file: each record is sent with its own text, at the pace of its timestamps.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "loadgen/options.hpp"
#include "loadgen/schedule.hpp"
#include "loadgen/workload.hpp"

namespace wellhead::loadgen {

// A file mapped into memory, read-only.
class MappedFile {
 public:
  [[nodiscard]] static std::expected<MappedFile, std::string> open(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  [[nodiscard]] std::string_view text() const noexcept { return text_; }

 private:
  explicit MappedFile(std::string_view text) : text_(text) {}
  std::string_view text_;
};

// What identifies a record of the file, as far as it can be read.
struct ReplayKey {
  std::optional<std::string> device;
  std::optional<std::int64_t> unix_us;
};

class ReplayWorkload final : public Workload {
 public:
  // The error is a sentence: the file cannot be read or holds no record.
  [[nodiscard]] static std::expected<std::unique_ptr<ReplayWorkload>, std::string> open(
      const Options& options);

  [[nodiscard]] std::size_t text_bytes_max(RecordRange range) const override;
  char* render(RecordRange range, char* out, std::vector<std::uint32_t>& bad_offsets) const override;
  [[nodiscard]] bool knows_bad_records() const override { return false; }
  [[nodiscard]] std::unique_ptr<RowMatcher> make_matcher() const override;

  [[nodiscard]] std::uint64_t records() const noexcept { return lines_.size(); }
  [[nodiscard]] std::string_view line(std::uint64_t record) const noexcept;
  [[nodiscard]] StreamKind stream() const noexcept { return stream_; }
  // Records as the file's timestamps space them, `speed` times faster; those due within a moment of each
  // other share a batch. A record without a readable timestamp goes with the one before, and so does one that
  // goes back in time.
  [[nodiscard]] std::unique_ptr<Schedule> make_schedule(const Options& options) const;

 private:
  struct Line {
    std::uint64_t offset;
    std::uint32_t bytes;
  };
  ReplayWorkload(MappedFile file, StreamKind stream);

  MappedFile file_;
  StreamKind stream_;
  std::vector<Line> lines_;
};

// JSON key of the column that names the device in `stream`.
[[nodiscard]] std::string_view device_key(StreamKind stream) noexcept;

}  // namespace wellhead::loadgen
