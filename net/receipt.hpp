// What a client holds in its hands to ask later what became of its records: the places of its rows in the
// lanes, as text that fits into a URL. Opaque to clients, and never a secret: it names rows, not their
// content.
//
//   receipt = base64url of: version, journal digest, epoch, reactor, part count, parts, checksum
//   part    = shard, sequence, first row, row count
//
// The digest and the checksum are 4 bytes, little-endian; the version is one byte; the other numbers are
// LEB128. The checksum is the CRC-32 of all before it: it finds every change within 32 bits in a row, so
// every change of one character.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "journal/format.hpp"

namespace wellhead {

// Rows [first_row, first_row + row_count) of one batch of the receipt's reactor and epoch.
struct ReceiptPart {
  std::uint32_t shard;
  std::uint64_t sequence;
  std::uint32_t first_row;
  std::uint32_t row_count;
  bool operator==(const ReceiptPart&) const = default;
};

struct Receipt {
  std::uint32_t journal_digest = 0;
  std::uint32_t epoch = 0;
  std::uint32_t reactor = 0;
  std::vector<ReceiptPart> parts;
  bool operator==(const Receipt&) const = default;
};

// Longer texts are none of ours; a request's head is bounded as well.
inline constexpr std::size_t receipt_text_bytes_max = 64U << 10;

// Tells a receipt of this journal from one of another node's.
[[nodiscard]] std::uint32_t receipt_digest(const journal_format::JournalId& id) noexcept;

// Appends the text to `out`.
void append_receipt(std::string& out, const Receipt& receipt);
// Nothing when the text is not exactly one that append_receipt() makes.
[[nodiscard]] std::optional<Receipt> decode_receipt(std::string_view text);

}  // namespace wellhead
