#include "net/receipt.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace wellhead {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string text_of(const Receipt& receipt) {
  std::string text;
  append_receipt(text, receipt);
  return text;
}

Receipt example() {
  return {.journal_digest = 0xDEADBEEF,
          .epoch = 12,
          .reactor = 1,
          .parts = {{.shard = 0, .sequence = 1, .first_row = 0, .row_count = 40},
                    {.shard = 7, .sequence = 1'234'567, .first_row = 300, .row_count = 1}}};
}

TEST(Receipt, ComesBackAsItWas) {
  EXPECT_EQ(decode_receipt(text_of(example())), example());
}

TEST(Receipt, IsShortAndFitsIntoAUrl) {
  const std::string text = text_of(example());
  EXPECT_LT(text.size(), 40U);
  EXPECT_EQ(text.find_first_not_of(alphabet), std::string::npos) << text;
}

TEST(Receipt, AnyReceiptComesBackAsItWas) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  // All magnitudes alike, the extremes included.
  const auto number = [&] { return random() >> random() % 64; };
  for (int round = 0; round < 2'000; ++round) {
    Receipt receipt{.journal_digest = static_cast<std::uint32_t>(random()),
                    .epoch = static_cast<std::uint32_t>(number()),
                    .reactor = static_cast<std::uint32_t>(number()),
                    .parts = {}};
    for (std::size_t count = random() % 12; count > 0; --count)
      receipt.parts.push_back({static_cast<std::uint32_t>(number()), number(),
                               static_cast<std::uint32_t>(number()), static_cast<std::uint32_t>(number())});
    ASSERT_EQ(decode_receipt(text_of(receipt)), receipt);
  }
}

TEST(Receipt, EveryChangeOfOneCharacterIsRefused) {
  const std::string text = text_of(example());
  for (std::size_t at = 0; at < text.size(); ++at)
    for (int character = 0; character < 256; ++character) {
      std::string changed = text;
      changed[at] = static_cast<char>(character);
      if (changed == text) continue;
      EXPECT_FALSE(decode_receipt(changed).has_value()) << changed;
    }
}

TEST(Receipt, EveryOmissionAdditionAndTranspositionIsRefused) {
  const std::string text = text_of(example());
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string shorter = text;
    shorter.erase(at, 1);
    EXPECT_FALSE(decode_receipt(shorter).has_value()) << shorter;
    EXPECT_FALSE(decode_receipt(std::string_view(text).substr(0, at)).has_value());
    for (const char character : alphabet) {
      std::string longer = text;
      longer.insert(at, 1, character);
      EXPECT_FALSE(decode_receipt(longer).has_value()) << longer;
    }
    if (at + 1 == text.size() || text[at] == text[at + 1]) continue;
    std::string swapped = text;
    std::swap(swapped[at], swapped[at + 1]);
    EXPECT_FALSE(decode_receipt(swapped).has_value()) << swapped;
  }
}

TEST(Receipt, NoiseIsRefused) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 60, '\0');
    for (char& character : text) character = alphabet[random() % alphabet.size()];
    EXPECT_FALSE(decode_receipt(text).has_value()) << text;
  }
  EXPECT_FALSE(decode_receipt(std::string(receipt_text_bytes_max + 1, 'A')).has_value());
}

TEST(Receipt, TwoJournalsHaveTwoDigests) {
  journal_format::JournalId id{};
  const std::uint32_t first = receipt_digest(id);
  id[15] = 1;
  EXPECT_NE(first, receipt_digest(id));
}

}  // namespace
}  // namespace wellhead
