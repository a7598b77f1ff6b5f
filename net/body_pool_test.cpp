#include "net/body_pool.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "codec/decoder.hpp"

namespace wellhead {
namespace {

TEST(BodyPool, AppendedBytesAreOnePieceWithReadablePadding) {
  BodyPool pool(1U << 20);
  BodyBuffer body;
  std::string expected;
  for (int piece = 0; piece < 300; ++piece) {
    const std::string bytes(static_cast<std::size_t>(piece), static_cast<char>('a' + piece % 26));
    ASSERT_TRUE(pool.append(body, bytes));
    expected += bytes;
  }
  EXPECT_EQ(body.view(), expected);
  volatile char last = 0;
  for (std::size_t offset = 0; offset < input_padding_bytes; ++offset)
    last = body.data()[body.size() + offset];
  (void)last;
}

TEST(BodyPool, TheBudgetIsKeptAndARefusedBufferStaysAsItWas) {
  BodyPool pool(4096);
  BodyBuffer first;
  BodyBuffer second;
  ASSERT_TRUE(pool.append(first, std::string(2000, 'x')));
  ASSERT_TRUE(pool.append(second, std::string(1500, 'y')));
  EXPECT_EQ(pool.bytes_used(), 4096U);
  EXPECT_FALSE(pool.append(first, std::string(100, 'x')));
  EXPECT_EQ(first.view(), std::string(2000, 'x'));
  second.release();
  EXPECT_TRUE(pool.append(first, std::string(100, 'x')));
  EXPECT_EQ(first.size(), 2100U);
}

TEST(BodyPool, MemoryIsUsedAgain) {
  BodyPool pool(1U << 20);
  const char* place = nullptr;
  {
    BodyBuffer body;
    ASSERT_TRUE(pool.reserve(body, 5000));
    place = body.data();
  }
  EXPECT_EQ(pool.bytes_used(), 0U);
  EXPECT_EQ(pool.bytes_kept(), 8192U);
  BodyBuffer body;
  ASSERT_TRUE(pool.reserve(body, 6000));
  EXPECT_EQ(body.data(), place);
  EXPECT_EQ(pool.bytes_kept(), 0U);
}

TEST(BodyPool, ABurstDoesNotKeepItsMemoryForEver) {
  BodyPool pool(1U << 30);
  {
    BodyBuffer large;
    ASSERT_TRUE(pool.reserve(large, 64U << 20));
  }
  EXPECT_EQ(pool.bytes_kept(), 0U);
}

TEST(BodyPool, AMovedBufferIsGivenBackOnce) {
  BodyPool pool(1U << 20);
  BodyBuffer from;
  ASSERT_TRUE(pool.append(from, "abc"));
  BodyBuffer to;
  ASSERT_TRUE(pool.append(to, "old"));
  to = std::move(from);
  EXPECT_EQ(to.view(), "abc");
  EXPECT_EQ(pool.bytes_used(), to.capacity());
}

TEST(BodyPool, ASizePastTheLargestClassIsRefused) {
  BodyPool pool(UINT64_MAX);
  BodyBuffer body;
  EXPECT_FALSE(pool.reserve(body, std::size_t{1} << 40));
}

}  // namespace
}  // namespace wellhead
