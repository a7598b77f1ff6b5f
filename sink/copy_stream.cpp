#include "sink/copy_stream.hpp"

#include <string_view>
#include <utility>

#include "codec/copy_binary.hpp"

namespace wellhead {
namespace {

// Sorted rows lie all over their batches: each is asked for this many rows before it is copied.
constexpr std::size_t prefetch_distance = 8;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

DatabaseResult<void> CopyStream::flush(Database& database) {
  bytes_sent_ += buffer_.size();
  auto sent = database.copy_data(buffer_);
  buffer_.clear();
  return sent;
}

DatabaseResult<void> CopyStream::put(Database& database, std::span<const std::byte> bytes) {
  if (!buffer_.empty() && buffer_.size() + bytes.size() > copy_message_bytes)
    if (auto flushed = flush(database); !flushed) return flushed;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return {};
}

DatabaseResult<std::uint64_t> CopyStream::send(Database& database, std::span<const SortedRow> rows) {
  buffer_.clear();
  bytes_sent_ = 0;
  DatabaseResult<void> sent = put(database, bytes_of(copy_binary::header));
  for (std::size_t row = 0; sent && row < rows.size(); ++row) {
    if (row + prefetch_distance < rows.size()) __builtin_prefetch(rows[row + prefetch_distance].header);
    sent = put(database, tuple_of(rows[row]));
  }
  return end(database, std::move(sent));
}

DatabaseResult<std::uint64_t> CopyStream::send(Database& database, std::span<const std::byte> tuples) {
  buffer_.clear();
  bytes_sent_ = 0;
  DatabaseResult<void> sent = put(database, bytes_of(copy_binary::header));
  if (sent) sent = put(database, tuples);
  return end(database, std::move(sent));
}

DatabaseResult<std::uint64_t> CopyStream::end(Database& database, DatabaseResult<void> sent) {
  if (sent) sent = put(database, bytes_of(copy_binary::trailer));
  if (sent) sent = flush(database);
  if (!sent) return std::unexpected(sent.error());
  return bytes_sent_;
}

}  // namespace wellhead
