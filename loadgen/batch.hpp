// One batch of records on its way: its text, its times and what is known of its fate. Moves between a
// worker's pool and its connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loadgen/workload.hpp"

namespace wellhead::loadgen {

struct Reject {
  std::uint32_t offset;  // of the record within its batch
  std::string code;
};

struct Batch {
  RecordRange range;
  std::int64_t due_ns = 0;
  std::int64_t begun_ns = 0;               // when its first byte was offered to the network; 0: not yet
  std::uint32_t answered = 0;              // leading records whose fate is settled
  bool in_doubt = false;                   // an earlier sending may have been stored
  std::vector<std::uint32_t> bad_offsets;  // bad on purpose, ascending
  std::vector<Reject> rejects;             // told by the node, not settled yet

  // The text lies at [text_begin, text_end) of the buffer; `sent` counts from text_begin.
  std::vector<char> buffer;
  std::size_t text_begin = 0;
  std::size_t text_end = 0;
  std::size_t sent = 0;

  [[nodiscard]] bool sent_whole() const noexcept { return sent == text_end - text_begin; }
  [[nodiscard]] std::string_view unsent() const noexcept {
    return {buffer.data() + text_begin + sent, text_end - text_begin - sent};
  }
  // Keeps the buffer's memory.
  void reset() noexcept {
    range = {};
    due_ns = begun_ns = 0;
    answered = 0;
    in_doubt = false;
    bad_offsets.clear();
    rejects.clear();
    text_begin = text_end = sent = 0;
  }
};

class BatchPool {
 public:
  [[nodiscard]] std::unique_ptr<Batch> take() {
    if (free_.empty()) return std::make_unique<Batch>();
    std::unique_ptr<Batch> batch = std::move(free_.back());
    free_.pop_back();
    return batch;
  }
  void give_back(std::unique_ptr<Batch> batch) {
    batch->reset();
    free_.push_back(std::move(batch));
  }

 private:
  std::vector<std::unique_ptr<Batch>> free_;
};

}  // namespace wellhead::loadgen
