#include "journal/ledger.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace wellhead {
namespace {

using ledger_format::EntryHead;
using ledger_format::RequestEntryBody;

RequestEntry sample_key(std::string receipt) {
  return {.key = {1, 2},
          .content = {3, 4},
          .time_us = 5,
          .answer = {.accepted = 6, .rejected = 7, .duplicate = 8, .receipt = std::move(receipt)}};
}

ProducerEntry sample_producer() {
  return {.producer = {9, 10}, .last_sequence = 11, .time_us = 12};
}

void overwrite(std::vector<std::byte>& payload, std::size_t offset, std::uint32_t value) {
  std::memcpy(payload.data() + offset, &value, sizeof value);
}

TEST(Ledger, EntriesComeBackAsTheyWere) {
  std::vector<std::byte> payload;
  append_entry(payload, sample_key("a-receipt-of-21-bytes"));
  append_entry(payload, sample_producer());
  append_entry(payload, sample_key(""));

  const auto entries = decode_entries(payload, 3);
  ASSERT_TRUE(entries);
  EXPECT_EQ(std::get<RequestEntry>((*entries)[0]), sample_key("a-receipt-of-21-bytes"));
  EXPECT_EQ(std::get<ProducerEntry>((*entries)[1]), sample_producer());
  EXPECT_EQ(std::get<RequestEntry>((*entries)[2]), sample_key(""));
  EXPECT_EQ(payload.size(), 64U + 24 + 40 + 64);  // docs/ledger-format.md says so
}

TEST(Ledger, APayloadThatHoldsAnotherNumberOfEntriesIsRefused) {
  std::vector<std::byte> payload;
  append_entry(payload, sample_producer());
  EXPECT_EQ(decode_entries(payload, 0).error(), LedgerFault::wrong_count);
  EXPECT_EQ(decode_entries(payload, 2).error(), LedgerFault::wrong_count);
}

TEST(Ledger, EveryTruncationIsFound) {
  std::vector<std::byte> payload;
  append_entry(payload, sample_key("receipt"));
  append_entry(payload, sample_producer());
  for (std::size_t bytes = 0; bytes < payload.size(); ++bytes)
    EXPECT_FALSE(decode_entries(std::span(payload).first(bytes), 2)) << bytes;
}

TEST(Ledger, LengthsThatDoNotFitAreRefused) {
  std::vector<std::byte> sound;
  append_entry(sound, sample_key("receipt"));

  auto payload = sound;
  overwrite(payload, offsetof(EntryHead, entry_bytes), 0);
  EXPECT_EQ(decode_entries(payload, 1).error(), LedgerFault::wrong_length);
  payload = sound;
  overwrite(payload, offsetof(EntryHead, entry_bytes), 0xFFFFFFF8);
  EXPECT_EQ(decode_entries(payload, 1).error(), LedgerFault::truncated);
  payload = sound;
  overwrite(payload, offsetof(EntryHead, entry_bytes), 16);
  EXPECT_EQ(decode_entries(payload, 1).error(), LedgerFault::wrong_length);
  payload = sound;
  overwrite(payload, sizeof(EntryHead) + offsetof(RequestEntryBody, receipt_bytes), 0xFFFFFFFF);
  EXPECT_EQ(decode_entries(payload, 1).error(), LedgerFault::wrong_length);
  payload = sound;
  overwrite(payload, offsetof(EntryHead, kind), 3);
  EXPECT_EQ(decode_entries(payload, 1).error(), LedgerFault::unknown_kind);
  payload = sound;
  payload.back() = std::byte{1};
  EXPECT_EQ(decode_entries(payload, 1).error(), LedgerFault::not_zero);
}

TEST(Ledger, RandomBytesAreNeverReadPastTheirEnd) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<std::byte> sound;
  for (int entry = 0; entry < 4; ++entry) {
    append_entry(sound, sample_key(std::string(random() % 40, 'r')));
    append_entry(sound, sample_producer());
  }
  for (int round = 0; round < 20'000; ++round) {
    // On the heap and of its exact size, so that a sanitizer sees a byte too many.
    std::vector<std::byte> payload(
        sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(random() % (sound.size() + 1)));
    payload.shrink_to_fit();
    for (std::uint64_t change = random() % 4; change != 0 && !payload.empty(); --change)
      payload[random() % payload.size()] = static_cast<std::byte>(random());
    const auto entries = decode_entries(payload, 8);
    if (!entries) continue;
    for (const LedgerEntry& entry : *entries) {
      const auto* key = std::get_if<RequestEntry>(&entry);
      ASSERT_TRUE(key == nullptr || key->answer.receipt.size() <= ledger_format::receipt_bytes_max);
    }
  }
}

TEST(Ledger, AFingerprintTellsApartWhatIsDifferent) {
  EXPECT_EQ(key_fingerprint("telemetry", "k"), key_fingerprint("telemetry", "k"));
  EXPECT_NE(key_fingerprint("telemetry", "k"), key_fingerprint("telemetr", "yk"));
  EXPECT_NE(key_fingerprint("telemetry", "k"), key_fingerprint("esp_telemetry", "k"));
  EXPECT_NE(key_fingerprint("telemetry", "k"), producer_fingerprint("telemetry", "k"));

  const RequestMeaning meaning{.format = 1, .all_or_nothing = false};
  EXPECT_EQ(content_fingerprint("{}", meaning), content_fingerprint("{}", meaning));
  EXPECT_NE(content_fingerprint("{}", meaning), content_fingerprint("{} ", meaning));
  EXPECT_NE(content_fingerprint("{}", meaning), content_fingerprint("{}", {.format = 2}));
  EXPECT_NE(content_fingerprint("{}", meaning),
            content_fingerprint("{}", {.format = 1, .all_or_nothing = true}));
}

}  // namespace
}  // namespace wellhead
