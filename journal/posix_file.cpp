#include "journal/posix_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::size_t pieces_max = 1024;  // IOV_MAX of Linux (uapi/linux/uio.h, UIO_MAXIOV)

off_t offset_of(std::uint64_t bytes) {
  WELLHEAD_ASSERT(bytes <= static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()));
  return static_cast<off_t>(bytes);
}

FileResult<void> without_value(FileResult<int> result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

}  // namespace

FileResult<std::uint64_t> PosixFile::size() const {
  struct stat status{};
  if (::fstat(descriptor_.get(), &status) != 0) return std::unexpected(errno);
  return static_cast<std::uint64_t>(status.st_size);
}

FileResult<std::size_t> PosixFile::read(std::span<std::byte> into, std::uint64_t offset) {
  const auto bytes = repeat_interrupted(
      [&] { return ::pread(descriptor_.get(), into.data(), into.size(), offset_of(offset)); });
  if (!bytes) return std::unexpected(bytes.error());
  return static_cast<std::size_t>(*bytes);
}

FileResult<std::size_t> PosixFile::write(std::span<const iovec> pieces, std::uint64_t offset) {
  const auto count = static_cast<int>(std::min(pieces.size(), pieces_max));
  const auto written = repeat_interrupted(
      [&] { return ::pwritev(descriptor_.get(), pieces.data(), count, offset_of(offset)); });
  if (!written) return std::unexpected(written.error());
  return static_cast<std::size_t>(*written);
}

FileResult<void> PosixFile::synchronize() {
  return without_value(repeat_interrupted([&] { return ::fdatasync(descriptor_.get()); }));
}

FileResult<void> PosixFile::allocate(std::uint64_t bytes) {
  return without_value(
      repeat_interrupted([&] { return ::fallocate(descriptor_.get(), 0, 0, offset_of(bytes)); }));
}

FileResult<void> PosixFile::truncate(std::uint64_t bytes) {
  return without_value(repeat_interrupted([&] { return ::ftruncate(descriptor_.get(), offset_of(bytes)); }));
}

}  // namespace wellhead
