// Headers of sections and segments as bytes: made by the writer, checked by everybody who reads. Pure
// functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "journal/format.hpp"

namespace wellhead {

inline constexpr const char* segments_directory = "segments";
inline constexpr const char* spare_directory = "spare";
inline constexpr const char* quarantine_directory = "quarantine";

// Which segment of a journal.
struct SegmentId {
  std::uint32_t epoch = 0;
  std::uint32_t reactor = 0;
  std::uint64_t segment = 0;
  auto operator<=>(const SegmentId&) const = default;
};

// EEEEEEEE-RRRR-SSSSSSSSSSSS.segment in decimal digits (more where the number has more).
[[nodiscard]] std::string segment_name(const SegmentId& id);
[[nodiscard]] std::optional<SegmentId> parse_segment_name(std::string_view name);
// DIR/segments/<segment_name>.
[[nodiscard]] std::string segment_path(const SegmentId& id);

enum class HeaderFault : std::uint8_t {
  cut_off,       // fewer bytes than a header has
  no_header,     // no magic: zeros, or the middle of something
  checksum,      // begun as a header and not whole
  version,       // a segment header of another format
  foreign,       // whole, of another journal or segment: what a recycled file still holds
  contradictory  // whole, and its numbers do not fit together
};

// Sets the checksum of a header whose other fields are set.
void seal(journal_format::SegmentHeader& header) noexcept;
// Sets both checksums of a header whose other fields, payload_bytes among them, are set.
void seal(journal_format::SectionHeader& header, std::span<const std::byte> payload) noexcept;

[[nodiscard]] std::expected<journal_format::SegmentHeader, HeaderFault> check_segment_header(
    std::span<const std::byte> bytes, const journal_format::JournalId& journal, const SegmentId& id) noexcept;
[[nodiscard]] std::expected<journal_format::SectionHeader, HeaderFault> check_section_header(
    std::span<const std::byte> bytes, const journal_format::JournalId& journal, const SegmentId& id) noexcept;

[[nodiscard]] std::uint64_t payload_checksum(std::span<const std::byte> payload) noexcept;

// Whether the payload of a rows section is rows one behind the other, as many as the header says. A checksum
// says that bytes are what was written, not that what was written makes sense, and those who go through rows
// trust them.
[[nodiscard]] bool rows_add_up(std::span<const std::byte> payload, std::uint32_t row_count) noexcept;

}  // namespace wellhead
