#include "net/feature_probe.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "net/buffer_ring.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t buffer_count = 4;
constexpr std::uint32_t buffer_bytes = 4'096;

KernelDescription kernel(int major, int minor, int uring_disabled = -1) {
  return {.release = std::to_string(major) + "." + std::to_string(minor),
          .version_major = major,
          .version_minor = minor,
          .uring_disabled = uring_disabled};
}

TEST(FeatureProbe, AnOldKernelIsNamedAsTheCause) {
  EXPECT_NE(explain_ring_failure(ENOSYS, kernel(4, 19)).find("4.19) is too old"), std::string::npos);
  EXPECT_NE(explain_ring_failure(EINVAL, kernel(5, 4)).find("too old"), std::string::npos);
  EXPECT_NE(explain_buffer_ring_failure(EINVAL, kernel(5, 15)).find("too old"), std::string::npos);
}

TEST(FeatureProbe, TheSysctlIsNamedAsTheCause) {
  EXPECT_NE(explain_ring_failure(EPERM, kernel(6, 12, 2)).find("kernel.io_uring_disabled = 2"),
            std::string::npos);
  EXPECT_NE(explain_ring_failure(EPERM, kernel(6, 12, 1)).find("kernel.io_uring_group"), std::string::npos);
}

TEST(FeatureProbe, SeccompIsNamedAsTheCause) {
  EXPECT_NE(explain_ring_failure(EPERM, kernel(6, 12, 0)).find("seccomp"), std::string::npos);
  EXPECT_NE(explain_ring_failure(EPERM, kernel(6, 1)).find("seccomp"), std::string::npos);
  EXPECT_NE(explain_ring_failure(ENOSYS, kernel(6, 1)).find("seccomp"), std::string::npos);
}

TEST(FeatureProbe, LimitsAreNamedAsTheCause) {
  EXPECT_NE(explain_ring_failure(ENOMEM, kernel(6, 1)).find("locked memory"), std::string::npos);
  EXPECT_NE(explain_ring_failure(EMFILE, kernel(6, 1)).find("open files"), std::string::npos);
}

TEST(FeatureProbe, ThisKernelIsDescribed) {
  const KernelDescription here = describe_kernel();
  EXPECT_FALSE(here.release.empty());
  EXPECT_GE(here.version_major, 5);
}

TEST(FeatureProbe, TheProbeLeavesARingThatWorks) {
  auto ring = Ring::create(16, 64);
  ASSERT_TRUE(ring.has_value()) << ring.error();
  auto buffers = BufferRing::create(**ring, buffer_count, buffer_bytes);
  ASSERT_TRUE(buffers.has_value()) << buffers.error();
  for (int round = 0; round < 3; ++round) {
    const auto features = probe_features(**ring, BufferRing::group);
    EXPECT_TRUE(features.has_value());
  }
  (*ring)->poll();
  std::size_t left = 0;
  (*ring)->drain(
      [&](const Completion& completion) { left += completion.tag.operation == Operation::probe ? 1 : 0; });
  EXPECT_EQ(left, 0U);
}

}  // namespace
}  // namespace wellhead
