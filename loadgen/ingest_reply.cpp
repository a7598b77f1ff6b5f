#include "loadgen/ingest_reply.hpp"

#include <simdjson.h>

#include <charconv>
#include <limits>

namespace wellhead::loadgen {
namespace {

constexpr std::string_view ack_start = R"({"ack":)";

// Nearly all lines are {"ack":N}; a number and two brackets need no parser.
std::optional<AckLine> plain_ack(std::string_view line) {
  if (!line.starts_with(ack_start) || !line.ends_with('}')) return std::nullopt;
  AckLine ack;
  const char* end_wanted = line.data() + line.size() - 1;
  const auto [end, error] = std::from_chars(line.data() + ack_start.size(), end_wanted, ack.lines);
  if (error != std::errc{} || end != end_wanted) return std::nullopt;
  return ack;
}

std::optional<std::uint32_t> count_of(simdjson::dom::element object, std::string_view key) {
  std::uint64_t value = 0;
  if (object[key].get(value) != simdjson::SUCCESS) return std::nullopt;
  if (value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

std::string text_of(simdjson::dom::element object, std::string_view key) {
  std::string_view text;
  return object[key].get(text) == simdjson::SUCCESS ? std::string(text) : std::string();
}

bool read_errors(simdjson::dom::element reply, std::vector<Reject>& errors) {
  simdjson::dom::array entries;
  if (reply["errors"].get(entries) != simdjson::SUCCESS) return true;  // a node may leave an empty list out
  for (const simdjson::dom::element entry : entries) {
    const auto index = count_of(entry, "index");
    if (!index) return false;
    errors.push_back({.offset = *index, .code = text_of(entry, "code")});
  }
  return true;
}

}  // namespace

struct ReplyReader::State {
  simdjson::dom::parser parser;
};

ReplyReader::ReplyReader() : state_(std::make_unique<State>()) {}
ReplyReader::~ReplyReader() = default;

std::optional<IngestReply> ReplyReader::ingest_reply(std::string_view body) {
  simdjson::dom::element root;
  if (state_->parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS) return std::nullopt;
  const auto accepted = count_of(root, "accepted");
  const auto rejected = count_of(root, "rejected");
  if (!accepted || !rejected) return std::nullopt;
  IngestReply reply{.accepted = *accepted, .rejected = *rejected, .duplicate = 0, .errors = {}};
  reply.duplicate = count_of(root, "duplicate").value_or(0);
  if (!read_errors(root, reply.errors) || reply.errors.size() > reply.rejected) return std::nullopt;
  return reply;
}

std::string ReplyReader::error_code(std::string_view body) {
  simdjson::dom::element root;
  simdjson::dom::element error;
  if (state_->parser.parse(body.data(), body.size()).get(root) != simdjson::SUCCESS) return {};
  if (root["error"].get(error) != simdjson::SUCCESS) return {};
  return text_of(error, "code");
}

NodeLine ReplyReader::node_line(std::string_view line) {
  if (const auto ack = plain_ack(line)) return *ack;
  simdjson::dom::element root;
  if (state_->parser.parse(line.data(), line.size()).get(root) != simdjson::SUCCESS) return std::monostate{};
  simdjson::dom::element reject;
  std::uint64_t number = 0;
  if (root["reject"].get(reject) == simdjson::SUCCESS && reject["line"].get(number) == simdjson::SUCCESS) {
    return RejectLine{.line = number, .code = text_of(reject, "code")};
  }
  if (root["ack"].get(number) == simdjson::SUCCESS) return AckLine{.lines = number};
  return std::monostate{};
}

}  // namespace wellhead::loadgen
