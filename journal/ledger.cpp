#include "journal/ledger.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

using namespace ledger_format;

Fingerprint to_fingerprint(XXH128_hash_t hash) {
  return {.low = hash.low64, .high = hash.high64};
}

// Seeds keep the kinds of fingerprints apart.
constexpr std::uint64_t key_seed = 1;
constexpr std::uint64_t producer_seed = 2;
constexpr std::uint64_t content_seed = 3;

// Neither a stream nor a key holds NUL, so that no two pairs look alike.
Fingerprint name_fingerprint(std::string_view stream, std::string_view name, std::uint64_t seed) {
  std::string both;
  both.reserve(stream.size() + 1 + name.size());
  both.append(stream).push_back('\0');
  both.append(name);
  return to_fingerprint(XXH3_128bits_withSeed(both.data(), both.size(), seed));
}

constexpr std::size_t padded(std::size_t bytes) {
  return (bytes + entry_alignment - 1) / entry_alignment * entry_alignment;
}

template <typename Part>
void append_part(std::vector<std::byte>& payload, const Part& part) {
  const auto bytes = std::as_bytes(std::span(&part, 1));
  payload.insert(payload.end(), bytes.begin(), bytes.end());
}

// REQUIRES bytes.size() >= sizeof(Part).
template <typename Part>
Part read_part(std::span<const std::byte> bytes) {
  Part part;
  std::memcpy(&part, bytes.data(), sizeof part);
  return part;
}

using Decoded = std::expected<std::optional<LedgerEntry>, LedgerFault>;

Decoded decode_request(std::span<const std::byte> body) {
  if (body.size() < sizeof(RequestEntryBody)) return std::unexpected(LedgerFault::wrong_length);
  const auto part = read_part<RequestEntryBody>(body);
  const std::span<const std::byte> tail = body.subspan(sizeof part);
  if (part.receipt_bytes > receipt_bytes_max || tail.size() != padded(part.receipt_bytes))
    return std::unexpected(LedgerFault::wrong_length);
  const auto padding = tail.subspan(part.receipt_bytes);
  if (std::ranges::any_of(padding, [](std::byte byte) { return byte != std::byte{0}; }))
    return std::unexpected(LedgerFault::not_zero);
  return RequestEntry{
      .key = part.key,
      .content = part.content,
      .time_us = part.time_us,
      .answer = {.accepted = part.accepted,
                 .rejected = part.rejected,
                 .duplicate = part.duplicate,
                 .receipt = std::string(reinterpret_cast<const char*>(tail.data()), part.receipt_bytes)}};
}

Decoded decode_producer(std::span<const std::byte> body) {
  if (body.size() != sizeof(ProducerEntryBody)) return std::unexpected(LedgerFault::wrong_length);
  const auto part = read_part<ProducerEntryBody>(body);
  return ProducerEntry{
      .producer = part.producer, .last_sequence = part.last_sequence, .time_us = part.time_us};
}

}  // namespace

Fingerprint key_fingerprint(std::string_view stream, std::string_view key) {
  return name_fingerprint(stream, key, key_seed);
}

Fingerprint producer_fingerprint(std::string_view stream, std::string_view producer) {
  return name_fingerprint(stream, producer, producer_seed);
}

Fingerprint content_fingerprint(std::string_view body, RequestMeaning meaning) {
  const std::uint64_t seed = content_seed | std::uint64_t{meaning.format} << 8 |
                             std::uint64_t{meaning.all_or_nothing ? 1U : 0U} << 16;
  return to_fingerprint(XXH3_128bits_withSeed(body.data(), body.size(), seed));
}

void append_entry(std::vector<std::byte>& payload, const RequestEntry& entry) {
  const std::string& receipt = entry.answer.receipt;
  WELLHEAD_ASSERT(receipt.size() <= receipt_bytes_max);
  const std::size_t entry_bytes = sizeof(EntryHead) + sizeof(RequestEntryBody) + padded(receipt.size());
  const std::size_t end = payload.size() + entry_bytes;
  append_part(payload, EntryHead{EntryKind::request, static_cast<std::uint32_t>(entry_bytes)});
  append_part(payload, RequestEntryBody{.key = entry.key,
                                        .content = entry.content,
                                        .time_us = entry.time_us,
                                        .accepted = entry.answer.accepted,
                                        .rejected = entry.answer.rejected,
                                        .duplicate = entry.answer.duplicate,
                                        .receipt_bytes = static_cast<std::uint32_t>(receipt.size())});
  const auto text = std::as_bytes(std::span(receipt));
  payload.insert(payload.end(), text.begin(), text.end());
  payload.resize(end);
}

void append_entry(std::vector<std::byte>& payload, const ProducerEntry& entry) {
  append_part(payload, EntryHead{EntryKind::producer, producer_entry_bytes});
  append_part(payload, ProducerEntryBody{entry.producer, entry.last_sequence, entry.time_us});
}

std::string_view to_string(LedgerFault fault) noexcept {
  switch (fault) {
    case LedgerFault::truncated:
      return "an entry is cut short";
    case LedgerFault::unknown_kind:
      return "an entry is of a kind this version does not know";
    case LedgerFault::wrong_length:
      return "an entry's length does not fit what is in it";
    case LedgerFault::not_zero:
      return "an entry's padding is not zero";
    case LedgerFault::wrong_count:
      return "there are more or fewer entries than announced";
  }
  std::unreachable();
}

std::expected<std::optional<LedgerEntry>, LedgerFault> LedgerDecoder::next() {
  if (rest_.empty()) return std::nullopt;
  if (rest_.size() < sizeof(EntryHead)) return std::unexpected(LedgerFault::truncated);
  const auto head = read_part<EntryHead>(rest_);
  if (head.kind != EntryKind::request && head.kind != EntryKind::producer)
    return std::unexpected(LedgerFault::unknown_kind);
  if (head.entry_bytes < sizeof head || head.entry_bytes % entry_alignment != 0)
    return std::unexpected(LedgerFault::wrong_length);
  if (head.entry_bytes > rest_.size()) return std::unexpected(LedgerFault::truncated);
  const std::span<const std::byte> body = rest_.subspan(sizeof head, head.entry_bytes - sizeof head);
  rest_ = rest_.subspan(head.entry_bytes);
  return head.kind == EntryKind::request ? decode_request(body) : decode_producer(body);
}

std::expected<std::vector<LedgerEntry>, LedgerFault> decode_entries(std::span<const std::byte> payload,
                                                                    std::uint32_t count) {
  std::vector<LedgerEntry> entries;
  LedgerDecoder decoder(payload);
  while (true) {
    auto entry = decoder.next();
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) break;
    entries.push_back(std::move(**entry));
  }
  if (entries.size() != count) return std::unexpected(LedgerFault::wrong_count);
  return entries;
}

}  // namespace wellhead
