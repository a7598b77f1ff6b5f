#include "net/inflate.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::size_t room_bytes_min = 16U << 10;
constexpr int gzip_window_bits = 15 + 16;  // the largest window, and a gzip wrapper
constexpr int zstd_window_log_max = 23;    // 8 MiB: what RFC 8878 §3.1.1.1.2 asks decoders to support

}  // namespace

struct Inflater::State {
  z_stream gzip{};
  bool gzip_ready = false;
  ZSTD_DCtx* zstd = nullptr;

  ~State() {
    if (gzip_ready) inflateEnd(&gzip);
    ZSTD_freeDCtx(zstd);
  }
};

Inflater::Inflater(std::uint64_t inflated_bytes_max)
    : inflated_bytes_max_(inflated_bytes_max), state_(std::make_unique<State>()) {}

Inflater::~Inflater() = default;

InflateResult Inflater::inflate(ContentCoding coding, std::string_view body, BodyPool& pool,
                                BodyBuffer& out) {
  WELLHEAD_ASSERT(coding != ContentCoding::identity);
  const InflateResult result =
      coding == ContentCoding::gzip ? inflate_gzip(body, pool, out) : inflate_zstd(body, pool, out);
  if (result != InflateResult::complete) out.release();
  return result;
}

std::span<char> Inflater::room(BodyPool& pool, BodyBuffer& out) {
  if (out.size() == inflated_bytes_max_) return {&spare_, 1};
  if (out.size() == out.capacity()) {
    const std::uint64_t wanted = std::max<std::uint64_t>(room_bytes_min, 2 * out.capacity());
    if (!pool.reserve(out, std::min(wanted, inflated_bytes_max_))) return {};
  }
  const std::size_t end = std::min<std::size_t>(out.capacity(), inflated_bytes_max_);
  return {out.data() + out.size(), end - out.size()};
}

bool Inflater::accept(BodyBuffer& out, std::size_t count) const {
  if (out.size() + count > inflated_bytes_max_) return false;
  out.resize(out.size() + count);
  return true;
}

InflateResult Inflater::inflate_gzip(std::string_view body, BodyPool& pool, BodyBuffer& out) {
  z_stream& stream = state_->gzip;
  const int ready = state_->gzip_ready ? inflateReset(&stream) : inflateInit2(&stream, gzip_window_bits);
  if (ready != Z_OK) return InflateResult::no_memory;
  state_->gzip_ready = true;
  WELLHEAD_ASSERT(body.size() <= std::numeric_limits<uInt>::max());
  // zlib's interface predates const; it does not write to its input.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());

  while (true) {
    const std::span<char> target = room(pool, out);
    if (target.empty()) return InflateResult::no_memory;
    const auto target_bytes =
        static_cast<uInt>(std::min<std::size_t>(target.size(), std::numeric_limits<uInt>::max()));
    stream.next_out = reinterpret_cast<Bytef*>(target.data());
    stream.avail_out = target_bytes;
    const int status = ::inflate(&stream, Z_NO_FLUSH);
    if (!accept(out, target_bytes - stream.avail_out)) return InflateResult::too_large;
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0) return InflateResult::complete;
      if (inflateReset(&stream) != Z_OK) return InflateResult::corrupt;
    } else if (status == Z_OK || status == Z_BUF_ERROR) {
      if (stream.avail_in == 0 && stream.avail_out > 0) return InflateResult::truncated;
    } else {
      return status == Z_MEM_ERROR ? InflateResult::no_memory : InflateResult::corrupt;
    }
  }
}

InflateResult Inflater::inflate_zstd(std::string_view body, BodyPool& pool, BodyBuffer& out) {
  if (state_->zstd == nullptr) {
    state_->zstd = ZSTD_createDCtx();
    if (state_->zstd == nullptr) return InflateResult::no_memory;
    ZSTD_DCtx_setParameter(state_->zstd, ZSTD_d_windowLogMax, zstd_window_log_max);
  }
  ZSTD_DCtx_reset(state_->zstd, ZSTD_reset_session_only);
  ZSTD_inBuffer input{.src = body.data(), .size = body.size(), .pos = 0};

  while (true) {
    const std::span<char> target = room(pool, out);
    if (target.empty()) return InflateResult::no_memory;
    ZSTD_outBuffer output{.dst = target.data(), .size = target.size(), .pos = 0};
    const std::size_t status = ZSTD_decompressStream(state_->zstd, &output, &input);
    if (!accept(out, output.pos)) return InflateResult::too_large;
    if (ZSTD_isError(status) != 0) return InflateResult::corrupt;
    if (input.pos < input.size) continue;
    if (status == 0) return InflateResult::complete;  // the last frame is whole
    if (output.pos < output.size) return InflateResult::truncated;
  }
}

}  // namespace wellhead
