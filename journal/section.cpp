#include "journal/section.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>
#include <cstring>

#include "base/assert.hpp"

namespace wellhead {
namespace {

using journal_format::JournalId;
using journal_format::SectionHeader;
using journal_format::SegmentHeader;

constexpr std::string_view name_end = ".segment";

std::uint64_t checksum_of(SegmentHeader header) noexcept {
  header.checksum = 0;
  return XXH3_64bits(&header, sizeof header);
}

std::uint64_t checksum_of(SectionHeader header) noexcept {
  header.header_checksum = 0;
  return XXH3_64bits(&header, sizeof header);
}

bool fits_together(const SectionHeader& header) noexcept {
  const std::uint64_t bytes = journal_format::section_bytes(header.payload_bytes);
  const bool rows = header.kind == journal_format::SectionKind::rows;
  const bool ledger = header.kind == journal_format::SectionKind::ledger;
  return header.block > 0 && header.section_index < header.section_count && header.block_bytes >= bytes &&
         header.block_bytes % journal_format::alignment == 0 &&
         header.block_bytes >= header.section_count * journal_format::alignment &&
         (rows ? header.row_count > 0 && header.lane_sequence > 0 : ledger && header.lane_sequence == 0);
}

// Takes digits and what follows them off the front.
template <typename Number>
bool take_number(std::string_view& text, std::string_view behind, std::size_t digits_min, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || digits < digits_min || !text.substr(digits).starts_with(behind)) return false;
  text.remove_prefix(digits + behind.size());
  return true;
}

}  // namespace

std::string segment_name(const SegmentId& id) {
  return fmt::format("{:08}-{:04}-{:012}{}", id.epoch, id.reactor, id.segment, name_end);
}

std::optional<SegmentId> parse_segment_name(std::string_view name) {
  SegmentId id;
  const bool whole = take_number(name, "-", 8, id.epoch) && take_number(name, "-", 4, id.reactor) &&
                     take_number(name, name_end, 12, id.segment) && name.empty();
  return whole ? std::optional(id) : std::nullopt;
}

std::string segment_path(const SegmentId& id) {
  return fmt::format("{}/{}", segments_directory, segment_name(id));
}

void seal(SegmentHeader& header) noexcept {
  header.magic = journal_format::segment_magic;
  header.version = journal_format::version;
  header.checksum = checksum_of(header);
}

void seal(SectionHeader& header, std::span<const std::byte> payload) noexcept {
  WELLHEAD_ASSERT(header.payload_bytes == payload.size());
  header.magic = journal_format::section_magic;
  header.payload_checksum = payload_checksum(payload);
  header.header_checksum = checksum_of(header);
  WELLHEAD_ASSERT(fits_together(header));
}

std::expected<SegmentHeader, HeaderFault> check_segment_header(std::span<const std::byte> bytes,
                                                               const JournalId& journal,
                                                               const SegmentId& id) noexcept {
  SegmentHeader header;
  if (bytes.size() < sizeof header) return std::unexpected(HeaderFault::cut_off);
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != journal_format::segment_magic) return std::unexpected(HeaderFault::no_header);
  if (header.checksum != checksum_of(header)) return std::unexpected(HeaderFault::checksum);
  if (header.version != journal_format::version) return std::unexpected(HeaderFault::version);
  if (header.journal_id != journal || SegmentId{header.epoch, header.reactor, header.segment} != id)
    return std::unexpected(HeaderFault::foreign);
  return header;
}

std::expected<SectionHeader, HeaderFault> check_section_header(std::span<const std::byte> bytes,
                                                               const JournalId& journal,
                                                               const SegmentId& id) noexcept {
  SectionHeader header;
  if (bytes.size() < sizeof header) return std::unexpected(HeaderFault::cut_off);
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != journal_format::section_magic) return std::unexpected(HeaderFault::no_header);
  if (header.header_checksum != checksum_of(header)) return std::unexpected(HeaderFault::checksum);
  if (header.journal_id != journal || SegmentId{header.epoch, header.reactor, header.segment} != id)
    return std::unexpected(HeaderFault::foreign);
  if (!fits_together(header)) return std::unexpected(HeaderFault::contradictory);
  return header;
}

std::uint64_t payload_checksum(std::span<const std::byte> payload) noexcept {
  return XXH3_64bits(payload.data(), payload.size());
}

bool rows_add_up(std::span<const std::byte> payload, std::uint32_t row_count) noexcept {
  for (; row_count > 0; --row_count) {
    RowHeader row;
    if (payload.size() < sizeof row) return false;
    std::memcpy(&row, payload.data(), sizeof row);
    if (payload.size() < row_bytes(row.tuple_bytes)) return false;
    payload = payload.subspan(row_bytes(row.tuple_bytes));
  }
  return payload.empty();
}

}  // namespace wellhead
