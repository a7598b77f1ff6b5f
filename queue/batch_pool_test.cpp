#include "queue/batch_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace wellhead {
namespace {

constexpr std::size_t batch_bytes = 256U << 10;

TEST(BatchPool, GivesAsManyAsItHasAndTheLastReleasedFirst) {
  BatchPool pool(batch_bytes, 3, 7);
  Batch* const first = pool.acquire();
  Batch* const second = pool.acquire();
  EXPECT_EQ(first->reactor(), 7U);
  EXPECT_EQ(pool.free_count(), 1U);
  ASSERT_NE(pool.acquire(), nullptr);
  EXPECT_EQ(pool.acquire(), nullptr);
  pool.release(first);
  pool.release(second);
  EXPECT_EQ(pool.free_count(), 2U);
  EXPECT_EQ(pool.acquire(), second);
}

TEST(BatchPool, WhatIsReleasedComesBackEmpty) {
  BatchPool pool(batch_bytes, 1, 0);
  Batch* const batch = pool.acquire();
  std::memset(batch->append(1, 1, 100), 0, row_bytes(100));
  batch->set_must_return();
  pool.release(batch);
  ASSERT_EQ(pool.acquire(), batch);
  EXPECT_TRUE(batch->empty());
  EXPECT_FALSE(batch->must_return());
}

TEST(BatchPool, BatchesLieBesideEachOtherInHugePagesAndNeverOverlap) {
  constexpr std::size_t count = 19;  // two slabs and a short one
  BatchPool pool(batch_bytes, count, 0);
  std::vector<std::uintptr_t> begins;
  for (std::size_t index = 0; index < count; ++index) {
    const std::span<std::byte> memory = pool.acquire()->memory();
    ASSERT_EQ(memory.size(), batch_bytes);
    std::memset(memory.data(), static_cast<int>(index), memory.size());
    begins.push_back(reinterpret_cast<std::uintptr_t>(memory.data()));
  }
  EXPECT_EQ(begins[0] % BatchMemory::huge_page_bytes, 0U);
  EXPECT_EQ(begins[8] % BatchMemory::huge_page_bytes, 0U);
  for (std::size_t index = 1; index < 8; ++index) EXPECT_EQ(begins[index], begins[0] + index * batch_bytes);
  std::ranges::sort(begins);
  for (std::size_t index = 1; index < count; ++index)
    EXPECT_GE(begins[index] - begins[index - 1], batch_bytes);
}

TEST(BatchPool, ABatchMayBeLargerThanAHugePage) {
  BatchPool pool(BatchMemory::huge_page_bytes + Batch::alignment, 2, 0);
  for (Batch* batch : {pool.acquire(), pool.acquire()}) {
    ASSERT_EQ(batch->memory().size(), BatchMemory::huge_page_bytes + Batch::alignment);
    batch->memory().back() = std::byte{1};
  }
}

}  // namespace
}  // namespace wellhead
