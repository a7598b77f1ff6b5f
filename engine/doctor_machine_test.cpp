#include "engine/doctor_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "engine/doctor_finding_fake.hpp"
#include "net/reactor_loop.hpp"

namespace wellhead {
namespace {

class DoctorMachineTest : public testing::Test {
 protected:
  DoctorMachineTest() {
    facts_.kernel = {.release = "6.12.0", .version_major = 6, .version_minor = 12, .uring_disabled = 0};
    facts_.multishot_accept = true;
    facts_.cores = 8;
    facts_.memory_bytes = 16ULL << 30;
    facts_.huge_pages = "madvise";
    facts_.clock_source = "tsc";
    facts_.backlog_max = 4'096;
    facts_.processor_governor = "performance";
    wishes_ = {
        .threads = {2, 4}, .descriptors = 40'000, .ring_bytes = 3 << 20, .pipeline_bytes = 256ULL << 20};
  }
  [[nodiscard]] FindingLevel level(std::string_view subject) const {
    return test::finding_of(judge_machine(facts_, wishes_), subject).level;
  }

  MachineFacts facts_;
  MachineWishes wishes_;
};

TEST_F(DoctorMachineTest, AGoodMachineHasNothingButOk) {
  for (const Finding& each : judge_machine(facts_, wishes_)) {
    EXPECT_EQ(each.level, FindingLevel::ok) << each.subject << ": " << each.seen;
    EXPECT_EQ(each.fix, "") << each.subject;
  }
}

TEST_F(DoctorMachineTest, WhateverIsNotOkSaysWhyAndHowToFixIt) {
  facts_ = {};
  facts_.kernel = {.release = "5.4.0", .version_major = 5, .version_minor = 4, .uring_disabled = 2};
  facts_.ring_problem = "io_uring is switched off.";
  facts_.locked_bytes_max = 65'536;
  facts_.descriptors_max = 1'024;
  facts_.memory_bytes = 64 << 20;
  facts_.huge_pages = "always";
  facts_.clock_source = "hpet";
  facts_.backlog_max = 128;
  facts_.processor_governor = "powersave";
  for (const Finding& each : judge_machine(facts_, wishes_)) {
    EXPECT_NE(each.level, FindingLevel::ok) << each.subject;
    EXPECT_NE(each.reason, "") << each.subject;
    EXPECT_NE(each.fix, "") << each.subject;
  }
}

TEST_F(DoctorMachineTest, AKernelBefore61IsAProblem) {
  facts_.kernel.version_minor = 1;
  EXPECT_EQ(level("kernel"), FindingLevel::ok);
  facts_.kernel.version_minor = 0;
  EXPECT_EQ(level("kernel"), FindingLevel::problem);
}

TEST_F(DoctorMachineTest, TheFixOfARefusedRingIsThatOfItsCause) {
  facts_.ring_problem = "io_uring is refused.";
  facts_.kernel.uring_disabled = 0;
  const auto fix = [&] { return test::finding_of(judge_machine(facts_, wishes_), "io_uring").fix; };
  EXPECT_NE(fix().find("seccomp"), std::string::npos);
  facts_.kernel.uring_disabled = 2;
  EXPECT_NE(fix().find("sysctl -w kernel.io_uring_disabled=0"), std::string::npos) << fix();
  facts_.ring_problem.clear();
  EXPECT_EQ(level("io_uring"), FindingLevel::ok);
  facts_.multishot_accept = false;
  EXPECT_EQ(level("io_uring"), FindingLevel::advice);
}

TEST_F(DoctorMachineTest, ARingWithoutMemoryIsALimitOfLockedMemory) {
  for (const std::string& problem :
       {explain_ring_failure(ENOMEM, facts_.kernel), explain_buffer_ring_failure(ENOMEM, facts_.kernel)}) {
    facts_.ring_problem = problem;
    const Finding ring = test::finding_of(judge_machine(facts_, wishes_), "io_uring");
    EXPECT_EQ(ring.level, FindingLevel::problem);
    EXPECT_NE(ring.fix.find("echo 'LimitMEMLOCK=65536K'"), std::string::npos) << ring.fix;
    EXPECT_NE(ring.fix.find("ulimit -l 65536"), std::string::npos) << ring.fix;
    EXPECT_EQ(ring.fix.find("seccomp"), std::string::npos) << ring.fix;
  }
}

TEST_F(DoctorMachineTest, LockedMemoryIsComparedWithTheRingsOnEveryKernel) {
  for (const int minor : {1, 12, 14, 18}) {
    facts_.kernel.version_minor = minor;
    facts_.locked_bytes_max = 2 * wishes_.ring_bytes;
    EXPECT_EQ(level("locked memory"), FindingLevel::ok) << minor;
    --facts_.locked_bytes_max;
    EXPECT_EQ(level("locked memory"), FindingLevel::advice) << minor << ": a start right after an end";
    facts_.locked_bytes_max = wishes_.ring_bytes - 1;
    EXPECT_EQ(level("locked memory"), FindingLevel::warning) << minor;
  }
  wishes_.ring_bytes = 40ULL << 20;
  EXPECT_NE(
      test::finding_of(judge_machine(facts_, wishes_), "locked memory").fix.find("LimitMEMLOCK=163840K"),
      std::string::npos);
}

TEST_F(DoctorMachineTest, AClockIsAdvisedOnlyWhereTheKernelTrustsIt) {
  const auto fix = [&] { return test::finding_of(judge_machine(facts_, wishes_), "clock").fix; };
  facts_.clock_source = "hpet";
  facts_.clock_sources = "tsc hpet acpi_pm ";
  EXPECT_TRUE(fix().starts_with("echo tsc | sudo tee")) << fix();
  facts_.clock_sources = "kvm-clock hpet";
  EXPECT_TRUE(fix().starts_with("echo kvm-clock | sudo tee")) << fix();
  facts_.clock_sources = "hpet acpi_pm";
  EXPECT_TRUE(fix().starts_with("sudo dmesg")) << fix();
}

TEST_F(DoctorMachineTest, OneSettingOfTheKernelDoesNotTakeAnothersPlace) {
  facts_.ring_problem = "io_uring is refused.";
  facts_.kernel.uring_disabled = 2;
  facts_.backlog_max = 128;
  const Findings findings = judge_machine(facts_, wishes_);
  EXPECT_NE(test::finding_of(findings, "io_uring").fix.find("60-wellhead-kernel.io_uring_disabled.conf"),
            std::string::npos);
  EXPECT_NE(test::finding_of(findings, "listen backlog").fix.find("60-wellhead-net.core.somaxconn.conf"),
            std::string::npos);
}

TEST_F(DoctorMachineTest, ARingTakesWhatItsEntriesTake) {
  const NetLimits limits{.connections_max = 16'384, .receive_buffers = 256};
  // 65,536 completions of 16 bytes and 4,096 submissions of 64 and 4, and the buffers' 16 each: 1.3 MiB.
  EXPECT_GE(ring_locked_bytes(limits), 65'536U * 16 + 4'096U * 68 + 256U * 16);
  EXPECT_LE(ring_locked_bytes(limits), 65'536U * 16 + 4'096U * 68 + 256U * 16 + (3U << 16));
  Config config;
  config.net = limits;
  EXPECT_EQ(machine_wishes(config, {3, 1}).ring_bytes, 3 * ring_locked_bytes(limits));
}

TEST_F(DoctorMachineTest, OpenFilesAreComparedWithTheConnectionsAllowed) {
  facts_.descriptors_max = wishes_.descriptors;
  EXPECT_EQ(level("open files"), FindingLevel::ok);
  --facts_.descriptors_max;
  EXPECT_EQ(level("open files"), FindingLevel::warning);
  EXPECT_NE(test::finding_of(judge_machine(facts_, wishes_), "open files").fix.find("LimitNOFILE=40000"),
            std::string::npos);
}

TEST_F(DoctorMachineTest, MoreReactorsThanCoresAndVeryManyShardsAreTold) {
  wishes_.threads = {8, 32};
  EXPECT_EQ(level("cores"), FindingLevel::ok);
  wishes_.threads = {8, 33};
  EXPECT_EQ(level("cores"), FindingLevel::advice);
  wishes_.threads = {9, 4};
  EXPECT_EQ(level("cores"), FindingLevel::warning);
}

TEST_F(DoctorMachineTest, BatchesMayTakeHalfOfTheMemory) {
  wishes_.pipeline_bytes = facts_.memory_bytes / 2;
  EXPECT_EQ(level("memory"), FindingLevel::ok);
  ++wishes_.pipeline_bytes;
  EXPECT_EQ(level("memory"), FindingLevel::warning);
  facts_.memory_bytes = 0;
  EXPECT_EQ(level("memory"), FindingLevel::ok) << "it is not known";
}

TEST_F(DoctorMachineTest, WhatIsNotThereIsNotComplainedOf) {
  facts_.huge_pages.clear();
  facts_.clock_source.clear();
  facts_.backlog_max = 0;
  facts_.processor_governor.clear();
  for (const Finding& each : judge_machine(facts_, wishes_))
    EXPECT_EQ(each.level, FindingLevel::ok) << each.subject;
}

TEST(DoctorMachine, ThisMachineCanBeAsked) {
  const MachineFacts facts = gather_machine(Config{});
  EXPECT_GE(facts.kernel.version_major, 5);
  EXPECT_GE(facts.cores, 1U);
  EXPECT_GT(facts.memory_bytes, 64U << 20);
  EXPECT_GT(facts.descriptors_max, 0U);
  EXPECT_EQ(facts.ring_problem, "") << "the node's own tests need io_uring";
  rlimit locked{};
  ASSERT_EQ(getrlimit(RLIMIT_MEMLOCK, &locked), 0);
  EXPECT_EQ(locked.rlim_cur, locked.rlim_max) << "as the node's own is";
}

TEST(DoctorFindings, ExitWithOneOnlyForAProblem) {
  Findings findings{{FindingLevel::warning, "machine", "a", "seen", "reason", "fix"}};
  EXPECT_EQ(exit_code_of(findings), 0);
  findings.push_back({FindingLevel::problem, "machine", "b", "seen\x1b", "reason", "fix \"it\""});
  EXPECT_EQ(exit_code_of(findings), 1);
  const std::string text = print_findings(findings);
  EXPECT_LT(text.find("problem"), text.find("warning")) << "the worst first";
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("1 problems, 1 warnings"), std::string::npos) << text;
  EXPECT_NE(print_findings_json(findings).find(R"("fix":"fix \"it\"")"), std::string::npos);
}

}  // namespace
}  // namespace wellhead
