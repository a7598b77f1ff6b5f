#include "net/receipt.hpp"

#include <zlib.h>

#include <array>
#include <concepts>
#include <limits>

namespace wellhead {
namespace {

constexpr std::uint8_t receipt_version = 1;
constexpr std::size_t checksum_bytes = sizeof(std::uint32_t);
// A part is four numbers of a byte at least.
constexpr std::size_t part_bytes_min = 4;
constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr unsigned bits_per_character = 6;
constexpr unsigned bits_per_byte = 8;
constexpr unsigned bits_per_septet = 7;
constexpr std::uint8_t more_flag = 0x80;

// Writes bytes as characters while it keeps their checksum.
class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void byte(std::uint8_t value) {
    checksum_ = crc32(checksum_, &value, 1);
    bits_ = bits_ << bits_per_byte | value;
    for (bit_count_ += bits_per_byte; bit_count_ >= bits_per_character;) character();
  }
  void word(std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += bits_per_byte)
      byte(static_cast<std::uint8_t>(value >> shift));
  }
  void number(std::uint64_t value) {
    for (; value >= more_flag; value >>= bits_per_septet) byte(static_cast<std::uint8_t>(value) | more_flag);
    byte(static_cast<std::uint8_t>(value));
  }
  void finish() {
    word(static_cast<std::uint32_t>(checksum_));
    if (bit_count_ == 0) return;
    bits_ <<= bits_per_character - bit_count_;
    bit_count_ = bits_per_character;
    character();
  }

 private:
  void character() {
    bit_count_ -= bits_per_character;
    out_ += alphabet[bits_ >> bit_count_ & (alphabet.size() - 1)];
  }

  std::string& out_;
  uLong checksum_ = 0;
  std::uint32_t bits_ = 0;
  unsigned bit_count_ = 0;
};

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(UINT8_MAX);
  for (std::size_t index = 0; index < alphabet.size(); ++index)
    values[static_cast<std::uint8_t>(alphabet[index])] = static_cast<std::uint8_t>(index);
  return values;
}
constexpr std::array<std::uint8_t, 256> character_values = make_values();

// Nothing for characters of another alphabet and for bits behind the last byte that are not 0: each text has
// one meaning and each meaning one text.
std::optional<std::vector<std::uint8_t>> bytes_of(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(text.size() * bits_per_character / bits_per_byte);
  std::uint32_t bits = 0;
  unsigned bit_count = 0;
  for (const char character : text) {
    const std::uint8_t value = character_values[static_cast<std::uint8_t>(character)];
    if (value == UINT8_MAX) return std::nullopt;
    bits = bits << bits_per_character | value;
    bit_count += bits_per_character;
    if (bit_count < bits_per_byte) continue;
    bit_count -= bits_per_byte;
    bytes.push_back(static_cast<std::uint8_t>(bits >> bit_count));
    bits &= (1U << bit_count) - 1;
  }
  if (bits != 0 || bit_count >= bits_per_character) return std::nullopt;
  return bytes;
}

// Reads bytes whose checksum was right; they may still be those of another version.
class Reader {
 public:
  Reader(const std::uint8_t* from, const std::uint8_t* end) : at_(from), end_(end) {}

  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  [[nodiscard]] bool whole() const noexcept { return !failed_ && at_ == end_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }

  std::uint8_t byte() noexcept {
    failed_ = failed_ || at_ == end_;
    return failed_ ? std::uint8_t{0} : *at_++;
  }
  std::uint32_t word() noexcept {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 32; shift += bits_per_byte) value |= std::uint32_t{byte()} << shift;
    return value;
  }
  template <std::unsigned_integral Number>
  Number number() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += bits_per_septet) {
      const std::uint8_t septet = byte();
      value |= std::uint64_t{septet & (more_flag - 1U)} << shift;
      if ((septet & more_flag) == 0) {
        failed_ = failed_ || value > std::numeric_limits<Number>::max();
        return static_cast<Number>(value);
      }
    }
    failed_ = true;
    return 0;
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool failed_ = false;
};

bool checksum_matches(const std::vector<std::uint8_t>& bytes) {
  if (bytes.size() < checksum_bytes) return false;
  const std::uint8_t* stored = bytes.data() + bytes.size() - checksum_bytes;
  Reader reader(stored, stored + checksum_bytes);
  return reader.word() == crc32(0, bytes.data(), static_cast<uInt>(bytes.size() - checksum_bytes));
}

}  // namespace

std::uint32_t receipt_digest(const journal_format::JournalId& id) noexcept {
  return static_cast<std::uint32_t>(crc32(0, id.data(), static_cast<uInt>(id.size())));
}

void append_receipt(std::string& out, const Receipt& receipt) {
  Encoder encoder(out);
  encoder.byte(receipt_version);
  encoder.word(receipt.journal_digest);
  encoder.number(receipt.epoch);
  encoder.number(receipt.reactor);
  encoder.number(receipt.parts.size());
  for (const ReceiptPart& part : receipt.parts) {
    encoder.number(part.shard);
    encoder.number(part.sequence);
    encoder.number(part.first_row);
    encoder.number(part.row_count);
  }
  encoder.finish();
}

std::optional<Receipt> decode_receipt(std::string_view text) {
  if (text.size() > receipt_text_bytes_max) return std::nullopt;
  const auto bytes = bytes_of(text);
  if (!bytes || !checksum_matches(*bytes)) return std::nullopt;
  Reader reader(bytes->data(), bytes->data() + bytes->size() - checksum_bytes);
  if (reader.byte() != receipt_version) return std::nullopt;
  Receipt receipt;
  receipt.journal_digest = reader.word();
  receipt.epoch = reader.number<std::uint32_t>();
  receipt.reactor = reader.number<std::uint32_t>();
  const auto count = reader.number<std::uint64_t>();
  if (reader.failed() || count > reader.left() / part_bytes_min) return std::nullopt;
  receipt.parts.reserve(count);
  for (std::uint64_t part = 0; part < count; ++part) {
    const auto shard = reader.number<std::uint32_t>();
    const auto sequence = reader.number<std::uint64_t>();
    const auto first_row = reader.number<std::uint32_t>();
    receipt.parts.push_back({shard, sequence, first_row, reader.number<std::uint32_t>()});
  }
  if (!reader.whole()) return std::nullopt;
  return receipt;
}

}  // namespace wellhead
