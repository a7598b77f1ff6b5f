#include "journal/chain_end.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "journal/identity.hpp"
#include "journal/text_file.hpp"

namespace wellhead {
namespace {

constexpr std::size_t ends_bytes_max = 16U << 20;  // of hundreds of thousands of segments
constexpr std::string_view end_key = "end";

std::string first_line(const journal_format::JournalId& journal) {
  return fmt::format("journal {}\n", journal_id_text(journal));
}

// Takes a number from the front of `line`, which a space or the end of the line follows.
template <typename Number>
bool take(std::string_view& line, Number& number, int base) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number, base);
  if (error != std::errc()) return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  if (line.empty()) return true;
  if (line.front() != ' ') return false;
  line.remove_prefix(1);
  return true;
}

std::optional<ChainEnd> parse_end(std::string_view line) {
  ChainEnd end{};
  if (!line.starts_with(end_key) || line.size() == end_key.size()) return std::nullopt;
  line.remove_prefix(end_key.size() + 1);
  if (!take(line, end.segment.epoch, 10) || !take(line, end.segment.reactor, 10) ||
      !take(line, end.segment.segment, 10) || !take(line, end.header_checksum, 16) ||
      !take(line, end.end_block, 10) || !line.empty())
    return std::nullopt;
  return end;
}

}  // namespace

std::vector<ChainEnd> read_chain_ends(FileSystem& files, const journal_format::JournalId& journal) {
  const auto text = read_text(files, chain_ends_path, ends_bytes_max);
  if (!text) return {};
  auto body = unseal_text(*text);
  const std::string owner = first_line(journal);
  if (!body || !body->starts_with(owner)) return {};
  std::vector<ChainEnd> ends;
  for (body->remove_prefix(owner.size()); !body->empty();) {
    const std::string_view line = body->substr(0, body->find('\n'));
    const auto end = parse_end(line);
    if (!end) return {};
    ends.push_back(*end);
    body->remove_prefix(std::min(body->size(), line.size() + 1));
  }
  std::ranges::sort(ends);
  return ends;
}

FileResult<void> write_chain_ends(FileSystem& files, const journal_format::JournalId& journal,
                                  std::span<const ChainEnd> ends) {
  std::string body = first_line(journal);
  for (const ChainEnd& end : ends)
    body += fmt::format("{} {} {} {} {:016x} {}\n", end_key, end.segment.epoch, end.segment.reactor,
                        end.segment.segment, end.header_checksum, end.end_block);
  return replace_text(files, "", chain_ends_path, seal_text(std::move(body)));
}

std::optional<ChainEnd> find_chain_end(std::span<const ChainEnd> ends, const SegmentId& segment,
                                       const journal_format::SegmentHeader& header) {
  const auto end = std::ranges::find(ends, segment, &ChainEnd::segment);
  if (end == ends.end() || end->header_checksum != header.checksum) return std::nullopt;
  return *end;
}

}  // namespace wellhead
