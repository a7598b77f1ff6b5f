#include "net/testing/compress.hpp"

#include <zlib.h>
#include <zstd.h>

#include "base/assert.hpp"

namespace wellhead::testing {

std::string gzip(std::string_view text) {
  z_stream stream{};
  constexpr int gzip_window_bits = 15 + 16;
  constexpr int memory_level = 8;
  const int ready =
      deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_window_bits, memory_level, Z_DEFAULT_STRATEGY);
  WELLHEAD_ASSERT(ready == Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int done = deflate(&stream, Z_FINISH);
  WELLHEAD_ASSERT(done == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1);
  WELLHEAD_ASSERT(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

}  // namespace wellhead::testing
