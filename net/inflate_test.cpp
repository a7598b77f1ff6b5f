#include "net/inflate.hpp"

#include <gtest/gtest.h>

#include <string>

#include "net/testing/compress.hpp"

namespace wellhead {
namespace {

using testing::gzip;
using testing::zstd;

constexpr std::uint64_t cap = 1U << 20;

class InflateTest : public ::testing::Test {
 protected:
  InflateResult inflate(ContentCoding coding, const std::string& body) {
    return inflater_.inflate(coding, body, pool_, out_);
  }
  void TearDown() override {
    out_.release();
    EXPECT_EQ(pool_.bytes_used(), 0U);
  }

  BodyPool pool_{8U << 20};
  Inflater inflater_{cap};
  BodyBuffer out_;
};

TEST_F(InflateTest, BothCodingsComeOutAsTheyWentIn) {
  std::string text;
  for (int line = 0; line < 5'000; ++line) text += "{\"n\":" + std::to_string(line * 7919) + "}\n";
  EXPECT_EQ(inflate(ContentCoding::gzip, gzip(text)), InflateResult::complete);
  EXPECT_EQ(out_.view(), text);
  out_.release();
  EXPECT_EQ(inflate(ContentCoding::zstd, zstd(text)), InflateResult::complete);
  EXPECT_EQ(out_.view(), text);
}

TEST_F(InflateTest, SeveralMembersAreOneBody) {
  EXPECT_EQ(inflate(ContentCoding::gzip, gzip("one\n") + gzip("two\n") + gzip("three")),
            InflateResult::complete);
  EXPECT_EQ(out_.view(), "one\ntwo\nthree");
  out_.release();
  EXPECT_EQ(inflate(ContentCoding::zstd, zstd("one\n") + zstd("two\n")), InflateResult::complete);
  EXPECT_EQ(out_.view(), "one\ntwo\n");
}

TEST_F(InflateTest, ExactlyTheCapIsTakenAndOneByteMoreIsNot) {
  for (const ContentCoding coding : {ContentCoding::gzip, ContentCoding::zstd}) {
    const auto pack = coding == ContentCoding::gzip ? gzip : zstd;
    EXPECT_EQ(inflate(coding, pack(std::string(cap, 'x'))), InflateResult::complete);
    EXPECT_EQ(out_.size(), cap);
    out_.release();
    EXPECT_EQ(inflate(coding, pack(std::string(cap + 1, 'x'))), InflateResult::too_large);
    EXPECT_EQ(out_.capacity(), 0U);
  }
}

TEST_F(InflateTest, ABombCostsTheCapAndNoMore) {
  const std::string bomb = gzip(std::string(200U << 20, '\0'));
  ASSERT_LT(bomb.size(), 1U << 20);
  EXPECT_EQ(inflate(ContentCoding::gzip, bomb), InflateResult::too_large);
  EXPECT_LE(pool_.bytes_kept(), 4 * cap);
}

TEST_F(InflateTest, EveryTruncationIsSeen) {
  const std::string text = "{\"a\":1}\n{\"a\":2}\n";
  for (const ContentCoding coding : {ContentCoding::gzip, ContentCoding::zstd}) {
    const std::string whole = coding == ContentCoding::gzip ? gzip(text) : zstd(text);
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_EQ(inflate(coding, whole.substr(0, size)), InflateResult::truncated) << size;
  }
}

TEST_F(InflateTest, WhatIsNotOfTheCodingIsCorrupt) {
  EXPECT_EQ(inflate(ContentCoding::gzip, "{\"a\":1}"), InflateResult::corrupt);
  EXPECT_EQ(inflate(ContentCoding::zstd, "{\"a\":1}"), InflateResult::corrupt);
  EXPECT_EQ(inflate(ContentCoding::gzip, gzip("x") + "trailing rubbish, more than a header"),
            InflateResult::corrupt);
  std::string damaged = gzip(std::string(1000, 'y'));
  damaged[damaged.size() - 6] ^= 1;  // in the checksum
  EXPECT_EQ(inflate(ContentCoding::gzip, damaged), InflateResult::corrupt);
}

TEST_F(InflateTest, AFailureDoesNotSpoilTheNextBody) {
  EXPECT_EQ(inflate(ContentCoding::gzip, gzip("x").substr(0, 12)), InflateResult::truncated);
  EXPECT_EQ(inflate(ContentCoding::gzip, gzip("fine")), InflateResult::complete);
  EXPECT_EQ(out_.view(), "fine");
}

TEST(Inflate, TheBudgetOfThePoolHolds) {
  BodyPool pool(64U << 10);
  Inflater inflater(cap);
  BodyBuffer out;
  EXPECT_EQ(inflater.inflate(ContentCoding::gzip, gzip(std::string(500'000, 'x')), pool, out),
            InflateResult::no_memory);
  EXPECT_EQ(pool.bytes_used(), 0U);
}

}  // namespace
}  // namespace wellhead
