// Content-Encoding: gzip and zstd, with a cap on what comes out, so that a bomb costs the cap and no more.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "net/body_pool.hpp"

namespace wellhead {

enum class ContentCoding : std::uint8_t { identity, gzip, zstd };

enum class InflateResult : std::uint8_t {
  complete,
  corrupt,    // not of this coding, or damaged
  truncated,  // the end is missing
  too_large,  // more than the cap comes out
  no_memory,  // the pool's budget is used up
};

// One per reactor; its state is kept between bodies.
class Inflater {
 public:
  explicit Inflater(std::uint64_t inflated_bytes_max);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Several gzip members or zstd frames in a row are one body. `out` holds the result when complete, and
  // nothing otherwise.
  [[nodiscard]] InflateResult inflate(ContentCoding coding, std::string_view body, BodyPool& pool,
                                      BodyBuffer& out);

 private:
  struct State;
  [[nodiscard]] InflateResult inflate_gzip(std::string_view body, BodyPool& pool, BodyBuffer& out);
  [[nodiscard]] InflateResult inflate_zstd(std::string_view body, BodyPool& pool, BodyBuffer& out);
  // Where the next bytes go. At the cap that is one spare byte: whether it is written tells "exactly the cap"
  // from "more". Empty when the pool's budget is used up.
  [[nodiscard]] std::span<char> room(BodyPool& pool, BodyBuffer& out);
  // Takes `count` bytes written to the last room into account; false when they are more than the cap.
  [[nodiscard]] bool accept(BodyBuffer& out, std::size_t count) const;

  std::uint64_t inflated_bytes_max_;
  char spare_ = 0;
  std::unique_ptr<State> state_;
};

}  // namespace wellhead
