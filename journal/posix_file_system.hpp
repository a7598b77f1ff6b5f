// The real file system below one directory.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "journal/file_system.hpp"

namespace wellhead {

// Any thread. The empty path is the directory itself. Paths with "..", absolute ones and symbolic links at
// their end are refused with EINVAL or ELOOP. System calls a signal interrupted are repeated.
class PosixFileSystem final : public FileSystem {
 public:
  // Opens the directory, which is made (mode 0700) if only its last part is missing. The error is an errno.
  [[nodiscard]] static FileResult<std::unique_ptr<PosixFileSystem>> open(const std::string& directory);

  [[nodiscard]] FileResult<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  [[nodiscard]] FileResult<std::vector<std::string>> list(const std::string& directory) override;
  [[nodiscard]] FileResult<void> make_directory(const std::string& path) override;
  [[nodiscard]] FileResult<void> rename(const std::string& from, const std::string& to) override;
  [[nodiscard]] FileResult<void> remove(const std::string& path) override;
  [[nodiscard]] FileResult<void> synchronize_directory(const std::string& path) override;
  [[nodiscard]] FileResult<std::uint64_t> free_bytes() override;
  // flock on DIR/lock, which the kernel lets go with the process, however it ends.
  [[nodiscard]] FileResult<void> lock() override;
  [[nodiscard]] std::string permission_problem() override;

 private:
  PosixFileSystem(UniqueFd directory, std::string path)
      : directory_(std::move(directory)), path_(std::move(path)) {}

  UniqueFd directory_;
  UniqueFd lock_;
  std::string path_;  // for sentences
};

}  // namespace wellhead
