#include "engine/reload.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "engine/temporary_directory.hpp"

namespace wellhead {
namespace {

constexpr const char* wells = R"(
[streams.wells]
device = "device"
time = "time"
[[streams.wells.columns]]
name = "device"
type = "text"
[[streams.wells.columns]]
name = "time"
type = "timestamptz"
[[streams.wells.columns]]
name = "pressure"
type = "real"
max = 100
)";

class ReloadTest : public testing::Test {
 protected:
  std::expected<LoadedConfig, ConfigErrors> load(const std::string& content) {
    const std::string path = directory_ / "wellhead.toml";
    std::ofstream(path) << content;
    return load_config({path, {}, {}});
  }
  static std::string with(std::string text, std::string_view from, std::string_view to) {
    return text.replace(text.find(from), from.size(), to);
  }
  // The only change that needs a restart, without the directory before it.
  std::string change(const std::string& fresh) {
    const auto found = needs_restart(*load(wells), *load(fresh));
    if (found.empty()) return "none";
    EXPECT_EQ(found.size(), 1U) << testing::PrintToString(found);
    const std::string prefix = directory_.path().string() + '/';
    return found[0].starts_with(prefix) ? found[0].substr(prefix.size()) : found[0];
  }

  TemporaryDirectory directory_;
  AttributeKeeper keeper_{nullptr, nullptr};
};

TEST_F(ReloadTest, WhatOnlyARestartCanChangeIsNamedWithItsPlace) {
  EXPECT_EQ(change(wells), "none");
  EXPECT_EQ(change(std::string("[flush]\nlinger = \"5ms\"\n") + wells),
            "wellhead.toml:2:10: flush.linger is changed from \"20ms\" to \"5ms\".");
  EXPECT_EQ(change(std::string("[log]\nlevel = \"error\"\n") + wells), "none");
  EXPECT_EQ(change(with(wells, "\"real\"", "\"double\"")),
            "wellhead.toml:2:1: streams.wells has column \"pressure\" as double, not real.");
  EXPECT_EQ(change(with(wells, "\"pressure\"", "\"force\"")),
            "wellhead.toml:2:1: streams.wells has column \"force\" where \"pressure\" was.");
  EXPECT_EQ(change(with(wells, "time = \"time\"", "time = \"time\"\ntable = \"well\"")),
            "wellhead.toml:2:1: streams.wells has another table: \"well\", not \"wells\".");
  EXPECT_EQ(change(std::string(wells) + "[[streams.wells.columns]]\nname = \"x\"\ntype = \"real\"\n"),
            "wellhead.toml:2:1: streams.wells has 4 columns, not 3.");
  EXPECT_EQ(change(""), "wellhead.toml:2:1: streams.wells is not there any more.");
}

TEST_F(ReloadTest, TheUnitAColumnIsStoredInNeedsARestartAndTheOneRecordsComeInDoesNot) {
  const std::string in_psi = with(wells, "max = 100", "max = 100\nunit = \"psi\"");
  const LoadedConfig started = *load(in_psi);
  Reloader reloader(started, keeper_);
  const auto found = needs_restart(started, *load(with(in_psi, "\"psi\"", "\"bar\"")));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(
      found[0].ends_with("wellhead.toml:2:1: streams.wells stores column \"pressure\" in \"bar\", not in "
                         "\"psi\": its table would mix "
                         "both, and the devices' baselines would be wrong; use a new column, or convert the "
                         "table before a restart."))
      << found[0];
  EXPECT_NE(change(in_psi).find("in \"psi\", not in no unit: "), std::string::npos) << change(in_psi);
  EXPECT_EQ(reloader.reload(load(with(in_psi, "\"psi\"", "\"bar\""))), ReloadOutcome::needs_restart);
  RulesHold rules;
  rules.refresh(*started.schemas[3]);
  EXPECT_EQ(rules.config().columns[2].unit, "psi");
  // Another spelling of the same unit, and another unit of the records.
  EXPECT_EQ(reloader.reload(load(with(in_psi, "\"psi\"", "\"PSI\"\ninput_unit = \"bar\""))),
            ReloadOutcome::done);
  EXPECT_TRUE(rules.refresh(*started.schemas[3]));
  EXPECT_EQ(rules.config().columns[2].input_unit, "bar");
}

TEST_F(ReloadTest, ASecretThatChangedIsNotShown) {
  const auto found = needs_restart(*load("[database]\nurl = \"postgresql://a:hidden@127.0.0.1/x\"\n"),
                                   *load("[database]\nurl = \"postgresql://a:secret@127.0.0.1/x\"\n"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].ends_with("database.url is changed.")) << found[0];
}

TEST_F(ReloadTest, RangesKeysAndWindowsComeIntoForceWhileTheSchemaStays) {
  const LoadedConfig started = *load(wells);
  const SchemaPointer stream = started.schemas[3];
  ASSERT_EQ(stream->name(), "wells");
  Reloader reloader(started, keeper_);
  const auto fresh = with(with(wells, "max = 100", "max = 200\nkeys = [\"p\"]"), "time = \"time\"",
                          "time = \"time\"\npast_max = \"1d\"");
  EXPECT_EQ(reloader.reload(load(fresh)), ReloadOutcome::done);
  RulesHold rules;
  rules.refresh(*stream);
  EXPECT_EQ(rules.config().columns[2].maximum, 200);
  EXPECT_EQ(rules.config().columns[2].keys, std::vector<std::string>{"p"});
  EXPECT_EQ(rules.config().past_max_s, 86'400);
  EXPECT_EQ(stream->config().columns[2].maximum, 100);
  EXPECT_EQ(reloader.stats().done.value(), 1U);
  EXPECT_GT(reloader.stats().last_good_unix_s.value(), 0);
  // And back again: what is compared with is what is in force.
  EXPECT_EQ(reloader.reload(load(wells)), ReloadOutcome::done);
  EXPECT_TRUE(rules.refresh(*stream));
  EXPECT_EQ(rules.config().columns[2].maximum, 100);
}

TEST_F(ReloadTest, StreamsAreFoundByNameWhateverTheirOrder) {
  const std::string other =
      with(with(wells, "max = 100", "max = 1"), "time = \"time\"", "time = \"time\"\ntable = \"other\"");
  std::string second = other;
  for (std::size_t at = 0; (at = second.find("streams.wells", at)) != std::string::npos; ++at)
    second.replace(at, 13, "streams.pumps");
  const LoadedConfig started = *load(std::string(wells) + second);
  Reloader reloader(started, keeper_);
  EXPECT_EQ(reloader.reload(load(second + wells)), ReloadOutcome::done);
  EXPECT_EQ(reloader.reload(load(second + wells)), ReloadOutcome::done);
  RulesHold rules;
  rules.refresh(*started.schemas[3]);
  EXPECT_EQ(rules.config().name, "wells");
  EXPECT_EQ(rules.config().columns[2].maximum, 100);
}

TEST_F(ReloadTest, AMistakeInARuleIsNamedWithItsPlaceAndLeavesTheRulesInForce) {
  const LoadedConfig started = *load(wells);
  Reloader reloader(started, keeper_);
  // The good half of each change would show if a part of it came into force.
  const std::string wider = with(wells, "max = 100", "max = 200");
  const auto refused = [&](const std::string& change) {
    const auto fresh = load(wider + change);
    EXPECT_FALSE(fresh);
    EXPECT_EQ(reloader.reload(fresh), ReloadOutcome::refused);
    if (fresh) return std::string("no mistake");
    EXPECT_EQ(fresh.error().size(), 1U) << testing::PrintToString(fresh.error());
    return fresh.error().front().substr(directory_.path().string().size() + 1);
  };
  EXPECT_EQ(refused("[streams.wells.rules.presure]\nmin = 1\n"),
            "wellhead.toml:15:22: streams.wells.rules.presure is a rule for a column that the stream does "
            "not have; "
            "did you mean \"pressure\"?.");
  EXPECT_EQ(refused("[streams.wells.rules.pressure]\nunit = \"furlong\"\n"),
            "wellhead.toml:15:22: Stream \"wells\", column \"pressure\": there is no unit \"furlong\".");
  EXPECT_EQ(
      refused("[streams.wells.rules.pressure]\nmin = 300\n"),
      "wellhead.toml:15:22: Stream \"wells\", column \"pressure\": has a range that no value meets: real has "
      "none from 300 to 200.");
  EXPECT_TRUE(
      refused("[streams.telemetry.rules.temperature]\nmax = 260\n")
          .starts_with("wellhead.toml:15:26: Stream \"telemetry\", column \"temperature\": max = 260 is "
                       "wider than a CHECK constraint"));
  EXPECT_TRUE(
      refused("[streams.telemetry.rules.rpm]\nscored = false\n")
          .starts_with("wellhead.toml:15:26: Stream \"telemetry\", column \"rpm\": scored = false would "
                       "shift the bits"));
  RulesHold rules;
  rules.refresh(*started.schemas[3]);
  EXPECT_EQ(rules.config().columns[2].maximum, 100);
  rules.refresh(*started.schemas[0]);
  EXPECT_EQ(rules.config().columns[2].maximum, 200);
  EXPECT_EQ(reloader.stats().refused.value(), 5U);
  EXPECT_EQ(reloader.stats().done.value(), 0U);
}

TEST_F(ReloadTest, ABrokenLineOfAnAttributesFileIsRefusedAndLeavesTheRulesInForce) {
  const std::string csv = directory_ / "wells.csv";
  const auto write = [&](const std::string& lines) { std::ofstream(csv) << lines; };
  const std::string enriched = std::string(wells) +
                               "[[streams.wells.columns]]\nname = \"site\"\ntype = \"text\"\n"
                               "source = \"attribute\"\n[streams.wells.attributes]\nfile = \"" +
                               csv + "\"\n";
  write("device,site\nw1,north\n");
  const LoadedConfig started = *load(enriched);
  AttributeKeeper keeper{nullptr, nullptr};
  Reloader reloader(started, keeper);
  const std::string wider = with(enriched, "max = 100", "max = 200");
  write("device,site\nw1,north\nw2,\"south\n");
  const auto tables = read_attributes_files(*load(wider));
  ASSERT_FALSE(tables);
  EXPECT_TRUE(tables.error().front().starts_with(csv + ":3: ")) << tables.error().front();
  EXPECT_EQ(reloader.reload(load(wider)), ReloadOutcome::refused);
  RulesHold rules;
  rules.refresh(*started.schemas[3]);
  EXPECT_EQ(rules.config().columns[2].maximum, 100);
  write("device,site\nw1,north\nw2,south\n");
  EXPECT_EQ(reloader.reload(load(wider)), ReloadOutcome::done);
  EXPECT_TRUE(rules.refresh(*started.schemas[3]));
  EXPECT_EQ(rules.config().columns[2].maximum, 200);
}

TEST_F(ReloadTest, AMistakeOrAChangeThatNeedsARestartLeavesTheRulesInForce) {
  const LoadedConfig started = *load(wells);
  Reloader reloader(started, keeper_);
  EXPECT_EQ(reloader.reload(load(with(wells, "max = 100", "max = \"high\""))), ReloadOutcome::refused);
  const auto both = with(wells, "max = 100", "max = 200") + "[flush]\nlinger = \"5ms\"\n";
  EXPECT_EQ(reloader.reload(load(both)), ReloadOutcome::needs_restart);
  RulesHold rules;
  rules.refresh(*started.schemas[3]);
  EXPECT_EQ(rules.config().columns[2].maximum, 100);
  EXPECT_EQ(reloader.stats().refused.value(), 1U);
  EXPECT_EQ(reloader.stats().needs_restart.value(), 1U);
  EXPECT_EQ(reloader.stats().done.value(), 0U);
}

}  // namespace
}  // namespace wellhead
