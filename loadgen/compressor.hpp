// HTTP bodies as gzip or zstd. Fast levels: the load generator shares its machine with what it measures.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "loadgen/options.hpp"

namespace wellhead::loadgen {

// Reused contexts; one thread.
class Compressor {
 public:
  explicit Compressor(Compression kind);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  [[nodiscard]] std::size_t bytes_max(std::size_t text_bytes) const;
  // Compresses `text` to `out`, which has bytes_max() room, and returns the size.
  [[nodiscard]] std::size_t compress(std::string_view text, char* out);

 private:
  struct State;
  Compression kind_;
  std::unique_ptr<State> state_;
};

}  // namespace wellhead::loadgen
