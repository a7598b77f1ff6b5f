// The ledger: what is remembered of requests, so that a client that repeats one is answered as before and its
// records are stored once. This header is its entries and their form on disk; ledger_table.hpp holds them in
// memory, ledger_store.hpp keeps them when the journal's segments go.
//
//   payload = entry, entry, …                    of a ledger section of the journal, or of a frame of
//   DIR/ledger entry   = LedgerEntryHead, RequestEntryBody, receipt, zeros up to a multiple of 8     a
//   request with a key
//           | LedgerEntryHead, ProducerEntryBody                                      lines of a producer
//
// An entry lies in the same journal block as the rows of its request, and a block counts as a whole or not at
// all: after a crash either both are there or neither is. Keys, bodies and producers' names are kept as
// XXH3-128 only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wellhead {

// XXH3-128 of something. Not for keeping secrets: two clients that mean each other harm can collide.
struct Fingerprint {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Fingerprint&) const = default;
};

// What makes two equal bodies different requests.
struct RequestMeaning {
  std::uint8_t format = 0;  // BodyFormat
  bool all_or_nothing = false;
};

// A key is the client's for one stream: the same key on another stream is another key.
[[nodiscard]] Fingerprint key_fingerprint(std::string_view stream, std::string_view key);
// Of the body as it is after inflating.
[[nodiscard]] Fingerprint content_fingerprint(std::string_view body, RequestMeaning meaning);
[[nodiscard]] Fingerprint producer_fingerprint(std::string_view stream, std::string_view producer);

// What a request was answered; its errors are found again by decoding the same body again.
struct RememberedAnswer {
  std::uint32_t accepted = 0;
  std::uint32_t rejected = 0;
  std::uint32_t duplicate = 0;
  std::string receipt;  // at most receipt_bytes_max
  bool operator==(const RememberedAnswer&) const = default;
};

struct RequestEntry {
  Fingerprint key;
  Fingerprint content;
  std::int64_t time_us = 0;  // wall time when its records were received, microseconds since 2000-01-01 UTC
  RememberedAnswer answer;
  bool operator==(const RequestEntry&) const = default;
};

// Every line of the producer up to and including last_sequence has its fate.
struct ProducerEntry {
  Fingerprint producer;
  std::uint64_t last_sequence = 0;
  std::int64_t time_us = 0;
  bool operator==(const ProducerEntry&) const = default;
};

using LedgerEntry = std::variant<RequestEntry, ProducerEntry>;

namespace ledger_format {

enum class EntryKind : std::uint32_t { request = 1, producer = 2 };

struct EntryHead {
  EntryKind kind;
  std::uint32_t entry_bytes;  // head, body, receipt and padding
};
static_assert(sizeof(EntryHead) == 8);

struct RequestEntryBody {
  Fingerprint key;
  Fingerprint content;
  std::int64_t time_us;
  std::uint32_t accepted;
  std::uint32_t rejected;
  std::uint32_t duplicate;
  std::uint32_t receipt_bytes;
};
static_assert(sizeof(RequestEntryBody) == 56);

struct ProducerEntryBody {
  Fingerprint producer;
  std::uint64_t last_sequence;
  std::int64_t time_us;
};
static_assert(sizeof(ProducerEntryBody) == 32);

inline constexpr std::size_t entry_alignment = 8;
inline constexpr std::size_t receipt_bytes_max = 64U << 10;
inline constexpr std::size_t producer_entry_bytes = sizeof(EntryHead) + sizeof(ProducerEntryBody);
inline constexpr std::size_t request_entry_bytes_max =
    sizeof(EntryHead) + sizeof(RequestEntryBody) + receipt_bytes_max;

}  // namespace ledger_format

// Each appends one entry to `payload`. REQUIRES a receipt of at most receipt_bytes_max.
void append_entry(std::vector<std::byte>& payload, const RequestEntry& entry);
void append_entry(std::vector<std::byte>& payload, const ProducerEntry& entry);

// Why bytes are not a ledger payload.
enum class LedgerFault : std::uint8_t {
  truncated,     // an entry reaches behind the end
  unknown_kind,  // an entry of a later version, or no entry at all
  wrong_length,  // an entry's length does not fit what is in it
  not_zero,      // padding that is not
  wrong_count,   // more or fewer entries than announced
};
[[nodiscard]] std::string_view to_string(LedgerFault fault) noexcept;

// Takes a payload apart, trusting none of its lengths. Reads `payload` only, which outlives it.
class LedgerDecoder {
 public:
  explicit LedgerDecoder(std::span<const std::byte> payload) : rest_(payload) {}
  // The next entry; none at the end. After a fault nothing more is to be asked.
  [[nodiscard]] std::expected<std::optional<LedgerEntry>, LedgerFault> next();

 private:
  std::span<const std::byte> rest_;
};

// All entries of a payload that announces `count` of them, or none.
[[nodiscard]] std::expected<std::vector<LedgerEntry>, LedgerFault> decode_entries(
    std::span<const std::byte> payload, std::uint32_t count);

}  // namespace wellhead
