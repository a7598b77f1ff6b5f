// What a node says about a request or a line (docs/protocol.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "loadgen/batch.hpp"

namespace wellhead::loadgen {

struct IngestReply {
  std::uint32_t accepted = 0;
  std::uint32_t rejected = 0;
  std::uint32_t duplicate = 0;
  std::vector<Reject> errors;  // at most 100 of the rejected
};

struct AckLine {
  std::uint64_t lines = 0;
};
struct RejectLine {
  std::uint64_t line = 0;  // from 1
  std::string code;
};
// monostate: a line that is neither.
using NodeLine = std::variant<std::monostate, AckLine, RejectLine>;

// Reads replies; keeps its buffers. One thread.
class ReplyReader {
 public:
  ReplyReader();
  ~ReplyReader();

  // The body of a 200 or 422; empty when it is not such a reply.
  [[nodiscard]] std::optional<IngestReply> ingest_reply(std::string_view body);
  // error.code of any other reply; empty when there is none.
  [[nodiscard]] std::string error_code(std::string_view body);
  // One line of the NDJSON protocol, without its newline.
  [[nodiscard]] NodeLine node_line(std::string_view line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wellhead::loadgen
