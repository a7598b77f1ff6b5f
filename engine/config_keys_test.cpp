#include "engine/config_keys.hpp"

#include <gtest/gtest.h>

#include <set>

namespace wellhead {
namespace {

TEST(ConfigKeys, EveryDefaultLiesWithinItsOwnBounds) {
  const Config defaults;
  for (const ConfigKey& key : config_keys()) {
    Config copy;
    const auto assigned = assign(copy, key, text_of(defaults, key));
    EXPECT_TRUE(assigned) << key.name;
    EXPECT_EQ(text_of(copy, key), text_of(defaults, key)) << key.name;
  }
}

TEST(ConfigKeys, NamesAndEnvironmentNamesAreUnique) {
  std::set<std::string> names;
  for (const ConfigKey& key : config_keys()) {
    EXPECT_TRUE(names.insert(std::string(key.name)).second) << key.name;
    EXPECT_TRUE(names.insert(environment_name(key.name)).second) << key.name;
    EXPECT_TRUE(key.help.ends_with('.') || key.help.ends_with(',')) << key.name;
  }
}

TEST(ConfigKeys, EnvironmentNamesAreTheKeyInCapitals) {
  EXPECT_EQ(environment_name("limits.depth_max"), "WELLHEAD_LIMITS_DEPTH_MAX");
}

TEST(ConfigKeys, AmountsOutsideTheBoundsAreRefusedWithTheBound) {
  Config config;
  const auto low = assign(config, *find_config_key("limits.depth_max"), "0");
  ASSERT_FALSE(low);
  EXPECT_EQ(low.error(), "0 is below the least allowed, 1");
  const auto long_linger = assign(config, *find_config_key("flush.linger"), "2m");
  ASSERT_FALSE(long_linger);
  EXPECT_EQ(long_linger.error(), "2m is above the most allowed, 1m");
  EXPECT_FALSE(assign(config, *find_config_key("server.reactors"), "-1"));
  EXPECT_FALSE(assign(config, *find_config_key("limits.body_bytes_max"), "2GiB"));
}

TEST(ConfigKeys, AWordThatIsNoChoiceIsRefusedWithTheChoices) {
  Config config;
  const auto sink = assign(config, *find_config_key("sink.kind"), "kafka");
  ASSERT_FALSE(sink);
  EXPECT_EQ(sink.error(), "\"kafka\" is not one of `postgres`, `null`");
}

TEST(ConfigKeys, TheNearestNameIsFoundAndAFarOneIsNot) {
  const std::vector<std::string> names = config_key_names();
  EXPECT_EQ(nearest("flush.lingr", names), "flush.linger");
  EXPECT_EQ(nearest("limits.connection_max", names), "limits.connections_max");
  EXPECT_EQ(nearest("kafka.brokers.bootstrap", names), std::nullopt);
}

}  // namespace
}  // namespace wellhead
