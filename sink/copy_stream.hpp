// Sends rows as one COPY BINARY stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sink/database.hpp"
#include "sink/flush.hpp"

namespace wellhead {

// Bytes that go to the server in one CopyData message: large enough that the server's work per message does
// not show, small enough to stay in the processor's cache.
inline constexpr std::size_t copy_message_bytes = 128U << 10;

class CopyStream {
 public:
  CopyStream() { buffer_.reserve(copy_message_bytes); }

  // Sends header, the tuples of `rows` and the trailer; returns their bytes. REQUIRES the database's last
  // step was copying; the caller ends the COPY.
  [[nodiscard]] DatabaseResult<std::uint64_t> send(Database& database, std::span<const SortedRow> rows);
  // The same with tuples that lie one behind the other.
  [[nodiscard]] DatabaseResult<std::uint64_t> send(Database& database, std::span<const std::byte> tuples);

 private:
  [[nodiscard]] DatabaseResult<std::uint64_t> end(Database& database, DatabaseResult<void> sent);
  [[nodiscard]] DatabaseResult<void> put(Database& database, std::span<const std::byte> bytes);
  [[nodiscard]] DatabaseResult<void> flush(Database& database);

  std::vector<std::byte> buffer_;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace wellhead
