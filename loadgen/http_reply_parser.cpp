#include "loadgen/http_reply_parser.hpp"

#include <algorithm>
#include <charconv>

namespace wellhead::loadgen {
namespace {

constexpr std::string_view head_end = "\r\n\r\n";

char lower(char character) noexcept {
  return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
}

bool equal_ignoring_case(std::string_view left, std::string_view right) noexcept {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char one, char other) { return lower(one) == lower(other); });
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) noexcept {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void HttpReplyParser::reset() {
  reply_ = {};
  head_.clear();
  content_length_.reset();
  in_body_ = delivered_ = false;
}

HttpReplyParser::Status HttpReplyParser::feed(std::string_view& bytes) {
  if (delivered_) reset();
  if (!in_body_) {
    const Status head = take_head(bytes);
    if (head != Status::complete) return head;
  }
  const std::size_t wanted = *content_length_ - reply_.body.size();
  reply_.body += bytes.substr(0, wanted);
  bytes.remove_prefix(std::min(wanted, bytes.size()));
  if (reply_.body.size() < *content_length_) return Status::incomplete;
  delivered_ = true;
  return Status::complete;
}

HttpReplyParser::Status HttpReplyParser::take_head(std::string_view& bytes) {
  while (!bytes.empty()) {
    // The blank line may be cut between two reads, so the search begins a little before the new bytes.
    const std::size_t known = head_.size();
    const std::size_t from = known < head_end.size() ? 0 : known - (head_end.size() - 1);
    head_ += bytes;
    const std::size_t end = head_.find(head_end, from);
    if (end == std::string::npos) {
      bytes = {};
      return head_.size() > head_bytes_max ? Status::malformed : Status::incomplete;
    }
    bytes.remove_prefix(end + head_end.size() - known);
    head_.resize(end);
    if (!parse_head(head_)) return Status::malformed;
    head_.clear();
    if (reply_.status >= 200) {
      in_body_ = true;
      return content_length_ ? Status::complete : Status::malformed;
    }
    reply_ = {};
    content_length_.reset();
  }
  return Status::incomplete;
}

bool HttpReplyParser::parse_head(std::string_view head) {
  const std::string_view line = head.substr(0, head.find("\r\n"));
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return false;
  const auto status = parse_number<int>(line.substr(9, 3));
  if (!status || *status < 100) return false;
  reply_.status = *status;
  reply_.close = line[7] == '0';
  for (head.remove_prefix(line.size()); head.starts_with("\r\n");) {
    head.remove_prefix(2);
    const std::string_view header = head.substr(0, head.find("\r\n"));
    if (!parse_header(header)) return false;
    head.remove_prefix(header.size());
  }
  return true;
}

bool HttpReplyParser::parse_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (equal_ignoring_case(name, "content-length")) {
    content_length_ = parse_number<std::size_t>(value);
    return content_length_ && *content_length_ <= body_bytes_max;
  }
  if (equal_ignoring_case(name, "retry-after")) reply_.retry_after_s = parse_number<double>(value);
  if (equal_ignoring_case(name, "connection") && equal_ignoring_case(value, "close")) reply_.close = true;
  return true;
}

}  // namespace wellhead::loadgen
