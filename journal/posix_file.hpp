// One open file of the real file system.
#pragma once

#include <cerrno>
#include <expected>
#include <utility>

#include "base/unique_fd.hpp"
#include "journal/file_system.hpp"

namespace wellhead {

// Calls the system until no signal interrupts it; what it returned, or the errno.
template <typename Call>
[[nodiscard]] auto repeat_interrupted(Call&& call) -> FileResult<decltype(call())> {
  while (true) {
    const auto result = call();
    if (result >= 0) return result;
    if (errno != EINTR) return std::unexpected(errno);
  }
}

class PosixFile final : public File {
 public:
  explicit PosixFile(UniqueFd descriptor) : descriptor_(std::move(descriptor)) {}

  [[nodiscard]] int descriptor() const noexcept override { return descriptor_.get(); }
  [[nodiscard]] FileResult<std::uint64_t> size() const override;
  [[nodiscard]] FileResult<std::size_t> read(std::span<std::byte> into, std::uint64_t offset) override;
  [[nodiscard]] FileResult<std::size_t> write(std::span<const iovec> pieces, std::uint64_t offset) override;
  [[nodiscard]] FileResult<void> synchronize() override;
  [[nodiscard]] FileResult<void> allocate(std::uint64_t bytes) override;
  [[nodiscard]] FileResult<void> truncate(std::uint64_t bytes) override;

 private:
  UniqueFd descriptor_;
};

}  // namespace wellhead
