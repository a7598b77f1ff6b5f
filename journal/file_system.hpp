// The seam to files: what the journal needs of a file system and nothing more. PosixFileSystem is the real
// one; SimulatedFileSystem tears and loses what was not synchronized, runs full and fails, from a seed.
//
// Errors are errno values. Paths are relative to the directory the file system was opened on, so nothing can
// leave it.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wellhead {

template <typename Value>
using FileResult = std::expected<Value, int>;  // errno

// One open file. A thread at a time.
class File {
 public:
  virtual ~File() = default;
  // For io_uring; -1 where there is none (simulated), and then the caller uses the calls below.
  [[nodiscard]] virtual int descriptor() const noexcept = 0;
  [[nodiscard]] virtual FileResult<std::uint64_t> size() const = 0;
  // May read or write less than asked, as the system calls do; 0 read is the end of the file.
  [[nodiscard]] virtual FileResult<std::size_t> read(std::span<std::byte> into, std::uint64_t offset) = 0;
  [[nodiscard]] virtual FileResult<std::size_t> write(std::span<const iovec> pieces,
                                                      std::uint64_t offset) = 0;
  // fdatasync.
  [[nodiscard]] virtual FileResult<void> synchronize() = 0;
  // Reserves space, so that a later write within `bytes` needs no block of the file system. EOPNOTSUPP where
  // it cannot.
  [[nodiscard]] virtual FileResult<void> allocate(std::uint64_t bytes) = 0;
  [[nodiscard]] virtual FileResult<void> truncate(std::uint64_t bytes) = 0;
};

enum class OpenMode : std::uint8_t {
  read,               // an existing file, through the page cache
  read_direct,        // an existing file, O_DIRECT; EINVAL where there is none
  create,             // a new file for reading and writing, through the page cache; EEXIST where it exists
  update,             // an existing file for reading and writing, through the page cache
  synchronous_direct  // an existing file, O_DIRECT | O_DSYNC: a write that has returned is durable; EINVAL
                      // where there is no O_DIRECT
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  [[nodiscard]] virtual FileResult<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  [[nodiscard]] virtual FileResult<std::vector<std::string>> list(
      const std::string& directory) = 0;  // names, sorted
  [[nodiscard]] virtual FileResult<void> make_directory(
      const std::string& path) = 0;  // mode 0700; fine if it exists
  [[nodiscard]] virtual FileResult<void> rename(const std::string& from,
                                                const std::string& to) = 0;  // replaces
  [[nodiscard]] virtual FileResult<void> remove(const std::string& path) = 0;
  [[nodiscard]] virtual FileResult<void> synchronize_directory(const std::string& path) = 0;
  [[nodiscard]] virtual FileResult<std::uint64_t> free_bytes() = 0;
  // Takes the directory for this process until the object goes; EWOULDBLOCK when another process has it.
  [[nodiscard]] virtual FileResult<void> lock() = 0;
  // What is wrong with the directory's owner and mode, empty if nothing is: others must not be able to write
  // it.
  [[nodiscard]] virtual std::string permission_problem() = 0;
};

}  // namespace wellhead
