#include "loadgen/compressor.hpp"

#include <zlib.h>
#include <zstd.h>

#include "base/assert.hpp"

namespace wellhead::loadgen {
namespace {

constexpr int level = 1;
constexpr int gzip_window_bits = 15 + 16;  // zlib.h: 16 more asks for a gzip header and trailer
constexpr int gzip_memory_level = 8;

}  // namespace

struct Compressor::State {
  z_stream gzip{};
  bool gzip_ready = false;
  ZSTD_CCtx* zstd = nullptr;
};

Compressor::Compressor(Compression kind) : kind_(kind), state_(std::make_unique<State>()) {
  if (kind == Compression::gzip) {
    const int result = deflateInit2(&state_->gzip, level, Z_DEFLATED, gzip_window_bits, gzip_memory_level,
                                    Z_DEFAULT_STRATEGY);
    WELLHEAD_ASSERT(result == Z_OK);
    state_->gzip_ready = true;
  } else if (kind == Compression::zstd) {
    state_->zstd = ZSTD_createCCtx();
    WELLHEAD_ASSERT(state_->zstd != nullptr);
  }
}

Compressor::~Compressor() {
  if (state_->gzip_ready) deflateEnd(&state_->gzip);
  ZSTD_freeCCtx(state_->zstd);
}

std::size_t Compressor::bytes_max(std::size_t text_bytes) const {
  if (kind_ == Compression::gzip) return deflateBound(&state_->gzip, text_bytes);
  return ZSTD_compressBound(text_bytes);
}

std::size_t Compressor::compress(std::string_view text, char* out) {
  const std::size_t room = bytes_max(text.size());
  if (kind_ == Compression::zstd) {
    const std::size_t size = ZSTD_compressCCtx(state_->zstd, out, room, text.data(), text.size(), level);
    WELLHEAD_ASSERT(ZSTD_isError(size) == 0);
    return size;
  }
  z_stream& stream = state_->gzip;
  deflateReset(&stream);
  // zlib's interface is not const-correct; it does not write to its input.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out);
  stream.avail_out = static_cast<uInt>(room);
  const int result = deflate(&stream, Z_FINISH);
  WELLHEAD_ASSERT(result == Z_STREAM_END);
  return room - stream.avail_out;
}

}  // namespace wellhead::loadgen
