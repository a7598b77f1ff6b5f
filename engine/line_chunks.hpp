// A file of lines, a piece of whole lines at a time, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>

namespace wellhead {

class LineChunks {
 public:
  // Pieces are about `chunk_bytes` long. Of a line of more than `line_bytes_max` only so much is kept that it
  // still is longer than that, and so can be told. `input` outlives this object.
  LineChunks(std::istream& input, std::size_t chunk_bytes, std::size_t line_bytes_max)
      : input_(input), chunk_bytes_(chunk_bytes), line_bytes_max_(line_bytes_max) {}

  // The next lines; empty at the end. Behind them as many bytes are readable as the decoder wants
  // (input_padding_bytes). Valid until the next call.
  [[nodiscard]] std::string_view next();
  // The number of the first line of what next() returned, from 1.
  [[nodiscard]] std::uint64_t first_line() const noexcept { return first_line_; }
  // Whether reading failed before the file's end.
  [[nodiscard]] bool failed() const { return input_.bad(); }

 private:
  void read_more();
  void shorten_last_line();

  std::istream& input_;
  std::size_t chunk_bytes_;
  std::size_t line_bytes_max_;
  std::string buffer_;     // lines given out, then the start of the next one
  std::size_t given_ = 0;  // bytes given out
  std::uint64_t first_line_ = 1;
  std::uint64_t lines_given_ = 0;
};

}  // namespace wellhead
