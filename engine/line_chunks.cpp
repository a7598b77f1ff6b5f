#include "engine/line_chunks.hpp"

#include <algorithm>

#include "codec/decoder.hpp"

namespace wellhead {

void LineChunks::read_more() {
  const std::size_t before = buffer_.size();
  buffer_.resize(before + chunk_bytes_);
  input_.read(buffer_.data() + before, static_cast<std::streamsize>(chunk_bytes_));
  buffer_.resize(before + static_cast<std::size_t>(input_.gcount()));
}

// The line at the buffer's end is not whole yet, and too long already.
void LineChunks::shorten_last_line() {
  const std::size_t newline = buffer_.rfind('\n');
  const std::size_t line = newline == std::string::npos ? 0 : newline + 1;
  if (buffer_.size() - line > line_bytes_max_ + 1) buffer_.resize(line + line_bytes_max_ + 1);
}

std::string_view LineChunks::next() {
  buffer_.erase(0, given_);
  first_line_ += lines_given_;
  given_ = 0;
  while (input_ && given_ == 0) {
    const std::size_t looked = buffer_.size();
    read_more();
    const std::size_t newline = buffer_.rfind('\n');
    if (newline != std::string::npos && newline >= looked) given_ = newline + 1;
    if (given_ == 0) shorten_last_line();
  }
  if (given_ == 0) given_ = buffer_.size();
  lines_given_ = static_cast<std::uint64_t>(
      std::count(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(given_), '\n'));
  buffer_.reserve(buffer_.size() + input_padding_bytes);
  return std::string_view(buffer_).substr(0, given_);
}

}  // namespace wellhead
