#include "loadgen/options.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace wellhead::loadgen {
namespace {

std::expected<Options, int> parsed(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "wellhead-loadgen");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  auto options = parse_options(static_cast<int>(arguments.size()), arguments.data());
  testing::internal::GetCapturedStdout();
  testing::internal::GetCapturedStderr();
  return options;
}

TEST(Options, defaults_make_a_run) {
  const auto options = parsed({});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->pacing, Pacing::rate);
  EXPECT_EQ(options->table, "telemetry");
  EXPECT_EQ(options->run_id.size(), 8U);
  EXPECT_FALSE(options->verify);
  EXPECT_EQ(options->window, 64U);
  EXPECT_NE(parsed({})->run_id, options->run_id);
}

TEST(Options, reads_what_is_given) {
  const auto options = parsed({"--max", "--stream", "esp_telemetry", "--count", "5", "--cpu-of", "node=12",
                               "--cpu-of", "database=13", "--compress", "zstd", "--verify", "--batch", "7"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->pacing, Pacing::maximum);
  EXPECT_EQ(options->table, "esp_telemetry");
  EXPECT_EQ(options->count, 5U);
  EXPECT_EQ(options->batch, 7U);
  EXPECT_EQ(options->window, 16U);
  EXPECT_TRUE(options->verify);
  ASSERT_EQ(options->cpu_of.size(), 2U);
  EXPECT_EQ(options->cpu_of[1].first, "database");
  EXPECT_EQ(options->cpu_of[1].second, 13);
}

TEST(Options, the_database_comes_from_the_environment_when_the_flag_has_no_value) {
  setenv("DATABASE_URL", "postgresql://second", 1);
  EXPECT_EQ(parsed({"--verify"})->database_url, "postgresql://second");
  setenv("WELLHEAD_LOADGEN_DATABASE_URL", "postgresql://first", 1);
  EXPECT_EQ(parsed({"--verify"})->database_url, "postgresql://first");
  EXPECT_EQ(parsed({"--verify", "postgresql://given"})->database_url, "postgresql://given");
  EXPECT_TRUE(parsed({})->database_url.empty());
  unsetenv("WELLHEAD_LOADGEN_DATABASE_URL");
  unsetenv("DATABASE_URL");
  EXPECT_TRUE(parsed({"--verify"})->database_url.empty());
}

TEST(Options, mistakes_are_usage_errors_and_help_is_not) {
  const std::vector<std::vector<const char*>> mistakes{{"--nonsense"},
                                                       {"--rate", "0"},
                                                       {"--rate", "5", "--max"},
                                                       {"--bad-share", "2"},
                                                       {"--stream", "x"},
                                                       {"--batch", "-1"},
                                                       {"--run-id", "a b"},
                                                       {"--cpu-of", "node"},
                                                       {"--replay", "/no"},
                                                       {"--wells", "0"},
                                                       {"--duration", "5", "--count", "5"},
                                                       {"--compress", "lz4"},
                                                       {"--ack", "soon"},
                                                       {"--ack", "journal", "--url", "ndjson://127.0.0.1:1"},
                                                       {"--retry", "--url", "ndjson://127.0.0.1:1"},
                                                       {"--until-stopped", "--count", "5"},
                                                       {"--until-stopped", "--duration", "5"}};
  for (const auto& mistake : mistakes) {
    const auto options = parsed(mistake);
    ASSERT_FALSE(options.has_value()) << mistake[0];
    EXPECT_EQ(options.error(), exit_usage) << mistake[0];
  }
  EXPECT_EQ(parsed({"--help"}).error(), exit_fine);
}

}  // namespace
}  // namespace wellhead::loadgen
