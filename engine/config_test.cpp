#include "engine/config.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "engine/config_check.hpp"
#include "engine/config_keys.hpp"
#include "engine/temporary_directory.hpp"

namespace wellhead {
namespace {

class ConfigTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& content) {
    std::string path = directory_ / name;
    std::ofstream(path) << content;
    return path;
  }
  auto load_file(const std::string& content) {
    return load_config({write("wellhead.toml", content), {}, {}});
  }
  static std::string with(std::string text, std::string_view from, std::string_view to) {
    return text.replace(text.find(from), from.size(), to);
  }
  // The only error of a file, without the directory before it.
  std::string error_of(const std::string& content) {
    const auto loaded = load_file(content);
    if (loaded) return "no error";
    EXPECT_EQ(loaded.error().size(), 1U) << testing::PrintToString(loaded.error());
    std::string error = loaded.error().front();
    const std::string prefix = directory_.path().string() + '/';
    if (error.starts_with(prefix)) error.erase(0, prefix.size());
    return error;
  }

  TemporaryDirectory directory_;
};

TEST_F(ConfigTest, NothingAtAllIsAGoodConfiguration) {
  const auto loaded = load_config({});
  ASSERT_TRUE(loaded) << testing::PrintToString(loaded.error());
  EXPECT_EQ(loaded->config.streams.size(), 3U);
  ASSERT_EQ(loaded->schemas.size(), 4U);
  EXPECT_EQ(loaded->schemas.back()->name(), "dead_letter");
  EXPECT_EQ(loaded->schemas.back()->index(), 3);
  EXPECT_FALSE(loaded->config.node_id.empty());
  EXPECT_EQ(loaded->config.http.address, "127.0.0.1");
}

TEST_F(ConfigTest, EveryListenerIsOnLoopbackByDefault) {
  const Config config;
  for (const Endpoint& endpoint : {config.http, config.ndjson, config.admin})
    EXPECT_EQ(endpoint.address, "127.0.0.1");
}

TEST_F(ConfigTest, ValuesOfEveryTypeAreReadFromAFile) {
  const auto loaded = load_file(
      "[node]\nid = \"north-7\"\n[server]\nreactors = 2\npin_threads = true\n[http]\nlisten = "
      "\"0.0.0.0:80\"\n"
      "[flush]\nlinger = \"5ms\"\nbytes = \"1MiB\"\n[limits]\nrecord_bytes_max = 4096\n[log]\nlevel = "
      "\"debug\"\n");
  ASSERT_TRUE(loaded) << testing::PrintToString(loaded.error());
  EXPECT_EQ(loaded->config.node_id, "north-7");
  EXPECT_EQ(loaded->config.reactors, 2U);
  EXPECT_TRUE(loaded->config.pin_threads);
  EXPECT_EQ(loaded->config.http, (Endpoint{"0.0.0.0", 80, true}));
  EXPECT_EQ(loaded->config.flush.linger, std::chrono::milliseconds(5));
  EXPECT_EQ(loaded->config.flush.bytes_max, 1U << 20);
  EXPECT_EQ(loaded->config.decoder.record_bytes_max, 4096U);
  EXPECT_EQ(loaded->config.log_level, "debug");
}

TEST_F(ConfigTest, AFlagWinsOverTheEnvironmentAndThatOverTheFile) {
  ConfigSources sources{write("wellhead.toml", "[flush]\nrows = 1\n"), {}, {}};
  EXPECT_EQ(load_config(sources)->config.flush.rows_max, 1U);
  sources.environment = {{"WELLHEAD_FLUSH_ROWS", "2"}};
  EXPECT_EQ(load_config(sources)->config.flush.rows_max, 2U);
  sources.flags = {{"flush.rows", "--flush-rows", "3"}};
  const auto loaded = load_config(sources);
  EXPECT_EQ(loaded->config.flush.rows_max, 3U);
  EXPECT_EQ(loaded->origins[config_key_index("flush.rows")].where, "--flush-rows");
}

TEST_F(ConfigTest, AnEmptyEnvironmentVariableCountsAsNotSet) {
  const auto loaded = load_config({std::nullopt, {{"WELLHEAD_FLUSH_ROWS", ""}}, {}});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.flush.rows_max, Config{}.flush.rows_max);
}

TEST_F(ConfigTest, AnUnknownKeyNamesItsPlaceAndTheNearestKey) {
  EXPECT_EQ(error_of("[flush]\nrows = 1\nlingr = \"5ms\"\n"),
            "wellhead.toml:3:1: flush.lingr is not a known key; did you mean flush.linger?");
  EXPECT_EQ(error_of("[flsh]\nrows = 1\n"),
            "wellhead.toml:1:2: flsh is not a known key; did you mean flush?");
  EXPECT_EQ(error_of("colour = 1\n"), "wellhead.toml:1:1: colour is not a known key.");
}

TEST_F(ConfigTest, AWrongTypeNamesItsPlaceAndWhatIsWanted) {
  EXPECT_EQ(error_of("[server]\nreactors = \"two\"\n"),
            "wellhead.toml:2:12: server.reactors must be a whole number, without quotes.");
  EXPECT_EQ(error_of("[flush]\nlinger = 20\n"),
            "wellhead.toml:2:10: flush.linger must be a duration in quotes with its unit, e.g. \"20ms\" or "
            "\"5s\".");
  EXPECT_EQ(error_of("[server]\npin_threads = 1\n"),
            "wellhead.toml:2:15: server.pin_threads must be true or false, without quotes.");
}

TEST_F(ConfigTest, AValueOutOfBoundsNamesItsPlaceAndTheBound) {
  EXPECT_EQ(error_of("[limits]\n\ndepth_max = 0\n"),
            "wellhead.toml:3:13: limits.depth_max = 0 is below the least allowed, 1.");
}

TEST_F(ConfigTest, BrokenTomlNamesLineAndColumn) {
  const std::string error = error_of("[server]\nreactors = = 2\n");
  EXPECT_TRUE(error.starts_with("wellhead.toml:2:12: this is not TOML: ")) << error;
}

TEST_F(ConfigTest, AMissingFileIsAnError) {
  const auto loaded = load_config({directory_ / "none.toml", {}, {}});
  ASSERT_FALSE(loaded);
  EXPECT_TRUE(
      loaded.error().front().ends_with("the configuration file cannot be read: No such file or directory."))
      << loaded.error().front();
}

TEST_F(ConfigTest, AllMistakesAreToldAtOnce) {
  const auto loaded = load_file("[flush]\nrows = 0\nlinger = \"1\"\n[http]\nlisten = \"here\"\n");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().size(), 3U) << testing::PrintToString(loaded.error());
}

TEST_F(ConfigTest, AMistakeInTheEnvironmentNamesTheVariable) {
  const auto loaded = load_config({std::nullopt, {{"WELLHEAD_FLUSH_LINGER", "fast"}}, {}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().front(),
            "WELLHEAD_FLUSH_LINGER: flush.linger = \"fast\" is not a whole number with a unit; write e.g. "
            "\"20ms\".");
}

TEST_F(ConfigTest, AnUnknownVariableIsAWarningBecausePlatformsSetTheirOwn) {
  const auto loaded = load_config({std::nullopt,
                                   {{"WELLHEAD_FLUSH_LINGR", "5ms"},
                                    {"WELLHEAD_PORT_8080_TCP", "tcp://10.0.0.1:8080"},
                                    {"WELLHEAD_CONFIG", "/etc/x"},
                                    {"WELLHEAD_TEST_DATABASE_URL", "x"}},
                                   {}});
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->warnings.size(), 2U);
  EXPECT_EQ(loaded->warnings.front(),
            "The environment variable WELLHEAD_FLUSH_LINGR belongs to no key and is ignored; did you mean "
            "WELLHEAD_FLUSH_LINGER?");
}

TEST_F(ConfigTest, ValuesThatDoNotFitOneAnotherAreRefused) {
  EXPECT_EQ(error_of("[limits]\nreceive_buffers = 100\n"),
            "wellhead.toml:2:19: limits.receive_buffers = 100 is not a power of two.");
  EXPECT_EQ(error_of("[pipeline]\nbatch_bytes = \"300001\"\n"),
            "wellhead.toml:2:15: pipeline.batch_bytes = \"300001B\" is not a multiple of 4KiB.");
  EXPECT_EQ(error_of("[admin]\nlisten = \"127.0.0.1:8080\"\n"),
            "wellhead.toml:2:10: admin.listen = \"127.0.0.1:8080\" is the address of http.listen already; "
            "each listener "
            "needs its own.");
  EXPECT_EQ(error_of("[ndjson]\nstream = \"pumps\"\n"),
            "wellhead.toml:2:10: ndjson.stream = \"pumps\" is not a stream of this node; the streams are "
            "telemetry, "
            "esp_telemetry, diagnostic_results.");
  EXPECT_EQ(error_of("[server]\nshards = 8\n[pipeline]\nmemory = \"1MiB\"\n"),
            "wellhead.toml:4:10: pipeline.memory = \"1MiB\" is too little for 8 shards: it must hold 24 "
            "batches of 256KiB "
            "each, 6MiB in all.");
}

TEST_F(ConfigTest, WhatTheJournalNeedsToWorkIsChecked) {
  EXPECT_EQ(error_of("[journal]\nblock_bytes_max = \"64MiB\"\n"),
            "wellhead.toml:2:19: journal.block_bytes_max = \"64MiB\" does not fit a segment; the most that "
            "journal.segment_bytes = \"64MiB\" allows is 65532KiB.");
  EXPECT_EQ(
      error_of("[server]\nshards = 2\n[journal]\nblock_bytes_max = \"256KiB\"\n"),
      "wellhead.toml:4:19: journal.block_bytes_max = \"256KiB\" is too little: it must hold a batch "
      "(pipeline.batch_bytes = \"256KiB\") for each of 2 shards and what is remembered of their requests, "
      "548KiB in all.");
  EXPECT_EQ(
      error_of("[server]\nreactors = 2\n[journal]\nbytes_max = \"256MiB\"\nkeep_bytes = 0\n"),
      "wellhead.toml:4:13: journal.bytes_max = \"256MiB\" is too little: it must hold 3 segments of 64MiB "
      "for each of 2 reactors, 384MiB in all.");
  EXPECT_EQ(
      error_of("[server]\nreactors = 1\n[journal]\nkeep_bytes = \"4GiB\"\n"),
      "wellhead.toml:4:14: journal.keep_bytes = \"4GiB\" leaves too little of journal.bytes_max = \"4GiB\" "
      "for new records; the most it allows is 3904MiB.");
  EXPECT_EQ(error_of("[journal]\nsegment_bytes = \"67108865B\"\n"),
            "wellhead.toml:2:17: journal.segment_bytes = \"67108865B\" is not a multiple of 4KiB.");
  EXPECT_EQ(
      error_of("[journal]\ndir = \"\"\n"),
      "wellhead.toml:2:7: journal.dir = \"\" names no directory; give it one, or set journal.enabled to "
      "false.");
}

TEST_F(ConfigTest, AJournalThatIsOffNeedNotFit) {
  EXPECT_TRUE(load_file("[journal]\nenabled = false\nblock_bytes_max = \"1GiB\"\ndir = \"\"\n"));
}

TEST_F(ConfigTest, AcknowledgementsAndCommitsFollowTheJournalUnlessTheyAreSet) {
  const auto with = load_file("");
  ASSERT_TRUE(with);
  EXPECT_TRUE(acknowledges_from_journal(with->config, with->config.http_ack));
  EXPECT_EQ(postgres_options(with->config).synchronous_commit, "off");
  EXPECT_TRUE(with->warnings.empty());
  const auto without = load_file("[journal]\nenabled = false\n");
  ASSERT_TRUE(without);
  EXPECT_FALSE(acknowledges_from_journal(without->config, without->config.ndjson_ack));
  EXPECT_EQ(postgres_options(without->config).synchronous_commit, "on");
  const auto set = load_file("[http]\nack = \"commit\"\n[database]\nsynchronous_commit = \"local\"\n");
  ASSERT_TRUE(set);
  EXPECT_FALSE(acknowledges_from_journal(set->config, set->config.http_ack));
  EXPECT_TRUE(acknowledges_from_journal(set->config, set->config.ndjson_ack));
  EXPECT_EQ(postgres_options(set->config).synchronous_commit, "local");
}

TEST_F(ConfigTest, DirectCompressIsChosenByItselfAndCanBeTurnedOffOrAlwaysOn) {
  const auto by_itself = direct_compress_options(load_file("")->config);
  EXPECT_EQ(by_itself.use, DirectCompressUse::automatic);
  EXPECT_EQ(by_itself.rows_per_device_min, 50U);
  const auto off = load_file("[sink]\ndirect_compress = \"off\"\ndirect_compress_rows_min = 7\n");
  ASSERT_TRUE(off);
  EXPECT_EQ(direct_compress_options(off->config).use, DirectCompressUse::off);
  EXPECT_EQ(direct_compress_options(off->config).rows_per_device_min, 7U);
  const auto always = load_file("[sink]\ndirect_compress = \"always\"\n");
  EXPECT_EQ(direct_compress_options(always->config).use, DirectCompressUse::always);
  EXPECT_FALSE(load_file("[sink]\ndirect_compress = \"sometimes\"\n"));
  EXPECT_FALSE(load_file("[sink]\ndirect_compress_rows_min = 0\n"));
}

TEST_F(ConfigTest, AcknowledgingFromAJournalThatIsOffIsRefused) {
  EXPECT_EQ(
      error_of("[journal]\nenabled = false\n[ndjson]\nack = \"journal\"\n"),
      "wellhead.toml:4:7: ndjson.ack = \"journal\" needs a journal, and journal.enabled is false; set one of "
      "the two otherwise.");
}

TEST_F(ConfigTest, AsynchronousCommitsWithoutAJournalAreWarnedOf) {
  const auto loaded = load_file("[journal]\nenabled = false\n[database]\nsynchronous_commit = \"off\"\n");
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->warnings.size(), 1U);
  EXPECT_TRUE(
      loaded->warnings.front().starts_with("database.synchronous_commit is \"off\" and there is no journal"));
}

TEST_F(ConfigTest, TheJournalIsOpenedWithWhatTheKeysSay) {
  const auto loaded = load_file(
      "[node]\nid = \"north-7\"\n[pipeline]\nbatch_bytes = \"128KiB\"\n[journal]\ndirect = \"required\"\n"
      "segment_bytes = \"32MiB\"\nblock_bytes_max = \"16MiB\"\nkeep_time = \"1m\"\naccept_damage = true\n");
  ASSERT_TRUE(loaded) << testing::PrintToString(loaded.error());
  const JournalOptions options = journal_options(loaded->config, {3, 5});
  EXPECT_EQ(options.node_id, "north-7");
  EXPECT_EQ(options.reactors, 3U);
  EXPECT_EQ(options.shards, 5U);
  EXPECT_EQ(options.batch_bytes, 128U << 10);
  EXPECT_EQ(options.segment_bytes, 32U << 20);
  EXPECT_EQ(options.block_bytes_max, 16U << 20);
  EXPECT_EQ(options.keep_time, std::chrono::minutes(1));
  EXPECT_EQ(options.direct, DirectIo::required);
  EXPECT_TRUE(options.accept_damage);
}

TEST_F(ConfigTest, ANodeWithoutAListenerIsRefused) {
  EXPECT_TRUE(error_of("[http]\nlisten = \"off\"\n[ndjson]\nlisten = \"off\"\n")
                  .starts_with("wellhead.toml:2:10: http.listen"));
}

TEST_F(ConfigTest, TheDatabaseUrlComesFromAFileOrTheUsualVariable) {
  const std::string secret = write("url", "postgresql://user:word@host/db\nsecond line\n");
  const auto from_file = load_file("[database]\nurl_file = \"" + secret + "\"\n");
  ASSERT_TRUE(from_file);
  EXPECT_EQ(from_file->config.database.url, "postgresql://user:word@host/db");
  const auto from_variable = load_config({std::nullopt, {{"DATABASE_URL", "postgresql://other/db"}}, {}});
  ASSERT_TRUE(from_variable);
  EXPECT_EQ(from_variable->config.database.url, "postgresql://other/db");
  const auto own_wins = load_config(
      {std::nullopt,
       {{"DATABASE_URL", "postgresql://other/db"}, {"WELLHEAD_DATABASE_URL", "postgresql://own/db"}},
       {}});
  EXPECT_EQ(own_wins->config.database.url, "postgresql://own/db");
}

TEST_F(ConfigTest, TwoDatabaseUrlsInOnePlaceAreRefusedAndTheHigherPlaceWins) {
  const std::string secret = write("url", "postgresql://file/db\n");
  const std::string both = "[database]\nurl = \"postgresql://inline/db\"\nurl_file = \"" + secret + "\"\n";
  EXPECT_EQ(error_of(both),
            "wellhead.toml:3:12: database.url and database.url_file are both given; keep one of them.");
  const auto loaded = load_config({write("wellhead.toml", "[database]\nurl = \"postgresql://inline/db\"\n"),
                                   {{"WELLHEAD_DATABASE_URL_FILE", secret}},
                                   {}});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.database.url, "postgresql://file/db");
}

TEST_F(ConfigTest, AnUnreadableUrlFileIsRefusedWithoutShowingAnythingElse) {
  const std::string error = error_of("[database]\nurl_file = \"/nowhere/url\"\n");
  EXPECT_TRUE(error.starts_with("wellhead.toml:2:12: database.url_file = \"/nowhere/url\": ")) << error;
}

TEST_F(ConfigTest, ABrokenDatabaseUrlIsRefusedWithoutRepeatingIt) {
  const std::string error = error_of("[database]\nurl = \"postgresql://user:hidden%zz@host/db\"\n");
  EXPECT_EQ(error.find("hidden"), std::string::npos) << error;
  EXPECT_TRUE(error.starts_with("wellhead.toml:2:7: database")) << error;
}

TEST_F(ConfigTest, ThePrintedConfigurationHasNoSecretAndReadsBackAsItself) {
  const auto loaded =
      load_file("[database]\nurl = \"postgresql://user:hidden@host/db\"\n[flush]\nrows = 7\n");
  ASSERT_TRUE(loaded);
  const std::string printed = print_config(*loaded);
  EXPECT_EQ(printed.find("hidden"), std::string::npos);
  EXPECT_NE(printed.find("rows = 7  # "), std::string::npos);
  const auto again = load_file(printed);
  ASSERT_TRUE(again) << testing::PrintToString(again.error());
  for (const ConfigKey& key : config_keys()) {
    if (!key.secret) {
      EXPECT_EQ(text_of(again->config, key), text_of(loaded->config, key)) << key.name;
    }
  }
  EXPECT_EQ(print_streams(again->config), print_streams(loaded->config));
}

TEST_F(ConfigTest, TheLongestRowIsTheSumOfItsColumnsWithinABatch) {
  StreamConfig stream{.name = "s", .table = "s", .device_column = "d", .time_column = "t", .columns = {}};
  ColumnConfig text;
  text.name = "d";
  text.type = ColumnType::text;
  text.text_bytes_max = 100;
  stream.columns.push_back(text);
  EXPECT_GE(longest_row_bytes(stream), 32U + 2 + 4 + 100);
  EXPECT_LE(longest_row_bytes(stream), 32U + 2 + 4 + 101 + 8);
}

TEST_F(ConfigTest, AStreamOfABuiltInOnesNameTakesItsPlaceAndOthersFollow) {
  const std::string columns =
      "[[streams.NAME.columns]]\nname = \"d\"\ntype = \"text\"\n[[streams.NAME.columns]]\nname = \"t\"\ntype "
      "= "
      "\"timestamptz\"\n";
  const auto stream = [&](const std::string& name) {
    std::string text = "[streams.NAME]\ntable = \"own\"\ndevice = \"d\"\ntime = \"t\"\n" + columns;
    for (std::size_t at = text.find("NAME"); at != std::string::npos; at = text.find("NAME"))
      text.replace(at, 4, name);
    return text;
  };
  const auto loaded = load_file(stream("esp_telemetry") + stream("another"));
  ASSERT_TRUE(loaded) << testing::PrintToString(loaded.error());
  ASSERT_EQ(loaded->config.streams.size(), 4U);
  EXPECT_EQ(loaded->config.streams[1].name, "esp_telemetry");
  EXPECT_EQ(loaded->config.streams[1].table, "own");
  EXPECT_EQ(loaded->config.streams[3].name, "another");
  const auto alone =
      load_file("[ndjson]\nstream = \"another\"\n[streams]\nbuiltin = false\n" + stream("another"));
  ASSERT_TRUE(alone) << testing::PrintToString(alone.error());
  EXPECT_EQ(alone->config.streams.size(), 1U);
  EXPECT_EQ(error_of("[streams]\nbuiltin = false\n[ndjson]\nlisten = \"off\"\n"),
            "wellhead.toml:2:11: streams.builtin = false leaves no stream; write a [streams.NAME] table or "
            "set it to true.");
}

TEST_F(ConfigTest, ATableWithoutColumnsChangesTheBuiltInStreamOfItsName) {
  const auto loaded = load_file(
      "[streams.telemetry]\npast_max = \"30d\"\n"
      "[streams.telemetry.rules.pressure]\nmin = 14.7\ninput_unit = \"bar\"\nrate_max = 50\n"
      "[streams.telemetry.scoring]\nlate_after = \"1m\"\n");
  ASSERT_TRUE(loaded) << testing::PrintToString(loaded.error());
  ASSERT_EQ(loaded->config.streams.size(), 3U);
  const StreamConfig& stream = loaded->config.streams[0];
  EXPECT_EQ(stream.past_max_s, 30 * 86'400);
  EXPECT_EQ(stream.scoring.late_after_s, 60);
  ASSERT_EQ(stream.columns.size(), builtin_streams()[0].columns.size());
  EXPECT_EQ(stream.columns[4].minimum, 14.7);
  EXPECT_EQ(stream.columns[4].input_unit, "bar");
  EXPECT_EQ(stream.columns[4].unit, "psi");
  EXPECT_EQ(stream.columns[4].rate_max, 50.0);
  EXPECT_EQ(stream.columns[3].minimum, 0.0);
}

TEST_F(ConfigTest, AMistakeInARuleIsToldWithItsPlace) {
  EXPECT_EQ(
      error_of("[streams.telemetry.rules.presure]\nmin = 1\n"),
      "wellhead.toml:1:26: streams.telemetry.rules.presure is a rule for a column that the stream does not "
      "have; did you mean \"pressure\"?.");
  EXPECT_EQ(error_of("[streams.telemetry.rules.rpm]\nmin = 5\n[streams.telemetry.rules.pressure]\nmin = 5\n"
                     "max = 3\n"),
            "wellhead.toml:3:26: Stream \"telemetry\", column \"pressure\": has a range that no value meets: "
            "real has none from 5 to 3.");
  EXPECT_EQ(error_of("[streams.telemetry.rules.rpm]\ninput_unit = \"furlong\"\n"),
            "wellhead.toml:1:26: Stream \"telemetry\", column \"rpm\": there is no unit \"furlong\".");
  EXPECT_EQ(error_of("[streams.telemetry.rules.rpm]\ninput_unit = \"psi\"\n"),
            "wellhead.toml:1:26: Stream \"telemetry\", column \"rpm\": \"psi\" cannot be converted to "
            "\"1/min\".");
  const std::string scoring = error_of("[streams.telemetry.scoring]\nwarm_up = 0\n");
  EXPECT_TRUE(scoring.starts_with("wellhead.toml:1:1: Stream \"telemetry\": scoring.warm_up must be from "))
      << scoring;
}

TEST_F(ConfigTest, ARangeWiderThanTheCheckOfAShippedTableIsAMistake) {
  constexpr std::string_view consequence =
      "the database would refuse each row with such a value, and it would become a dead letter instead of a "
      "row";
  const auto too_wide = [&](std::string_view place, std::string_view column, std::string_view rule,
                            std::string_view taken, std::string_view fix) {
    return fmt::format(
        "wellhead.toml:{}: Stream \"telemetry\", column \"{}\": {} is wider than a CHECK "
        "constraint of table \"telemetry\", which takes {}: {}. Set {}.",
        place, column, rule, taken, consequence, fix);
  };
  EXPECT_EQ(error_of("[streams.telemetry.rules.pressure]\nmin = -14.7\n"),
            too_wide("1:26", "pressure", "min = -14.7", "at least 0", "min to at least 0"));
  EXPECT_EQ(error_of("[streams.telemetry.rules.pressure]\nmin = -inf\n"),
            too_wide("1:26", "pressure", "no min", "at least 0", "min to at least 0"));
  EXPECT_EQ(error_of("[streams.telemetry]\nrules.rpm = { max = 9000 }\nrules.temperature = { max = 260 }\n"),
            too_wide("3:7", "temperature", "max = 260", "at most 200", "max to at most 200"));
  EXPECT_EQ(
      error_of("[streams.telemetry.rules.vibration]\nout_of_range = \"keep\"\n"),
      fmt::format("wellhead.toml:1:26: Stream \"telemetry\", column \"vibration\": out_of_range = \"keep\" "
                  "would store what a CHECK constraint of table \"telemetry\" does not take: {}. Use "
                  "\"null\" or \"reject\".",
                  consequence));
  // Narrower ranges, columns without a CHECK and other tables are the user's own affair.
  EXPECT_TRUE(
      load_file("[streams.telemetry.rules.temperature]\nmin = -40\nmax = 180\n"
                "[streams.esp_telemetry.rules.pip]\nmin = 0\nout_of_range = \"keep\"\n"
                "[streams.diagnostic_results.rules.confidence]\nmin = 0.5\n"));
  EXPECT_TRUE(
      load_file("[streams.telemetry]\ntable = \"plant.telemetry\"\n"
                "rules.temperature = { max = 260, out_of_range = \"keep\" }\n"));
}

TEST_F(ConfigTest, AStreamOfItsOwnColumnsIsHeldAgainstTheShippedTableItWritesTo) {
  const std::string own =
      "[streams.pumps]\ntable = \"telemetry\"\ndevice = \"device_id\"\ntime = \"timestamp\"\n"
      "[[streams.pumps.columns]]\nname = \"device_id\"\ntype = \"text\"\n"
      "[[streams.pumps.columns]]\nname = \"timestamp\"\ntype = \"timestamptz\"\n"
      "[[streams.pumps.columns]]\nname = \"rpm\"\ntype = \"real\"\n";
  EXPECT_TRUE(
      error_of(own).starts_with("wellhead.toml:11:1: Stream \"pumps\", column \"rpm\": no min is wider "
                                "than a CHECK constraint of table \"telemetry\""))
      << error_of(own);
  EXPECT_TRUE(load_file(own + "min = 0\n"));
}

TEST_F(ConfigTest, TheScoredColumnsOfAShippedTableKeepTheirBits) {
  EXPECT_EQ(
      error_of("[streams.telemetry.rules.rpm]\nscored = false\n"),
      "wellhead.toml:1:26: Stream \"telemetry\", column \"rpm\": scored = false would shift the bits of "
      "quality_flags in table \"telemetry\", whose meaning is fixed by the columns it ships with: SQL would "
      "name the wrong columns, in old rows or in new ones. Leave it true; for other scored columns write the "
      "stream to a table of your own.");
  const std::string own =
      "[streams.pumps]\ntable = \"telemetry\"\ndevice = \"device_id\"\ntime = \"timestamp\"\n"
      "[[streams.pumps.columns]]\nname = \"device_id\"\ntype = \"text\"\n"
      "[[streams.pumps.columns]]\nname = \"timestamp\"\ntype = \"timestamptz\"\n"
      "[[streams.pumps.columns]]\nname = \"{}\"\ntype = \"real\"\nmin = 0\nmax = 200\nscored = true\n";
  const std::string flags =
      "[[streams.pumps.columns]]\nname = \"quality_flags\"\ntype = \"bigint\"\nsource = \"quality_flags\"\n";
  const std::string vibration = with(own, "{}", "vibration");
  EXPECT_TRUE(
      error_of(vibration + flags)
          .starts_with("wellhead.toml:11:1: Stream \"pumps\", column \"vibration\": scored = true would "
                       "shift the bits of quality_flags in table \"telemetry\""))
      << error_of(vibration + flags);
  EXPECT_TRUE(load_file(vibration)) << "without flags there are no bits";
  // Fewer at the end of the list leave the others where they are.
  EXPECT_TRUE(load_file(with(own, "{}", "temperature") + flags));
  EXPECT_TRUE(load_file("[streams.telemetry.rules.discharge_pressure]\nscored = false\n"));
  EXPECT_TRUE(load_file("[streams.telemetry]\ntable = \"pumps\"\nrules.rpm = { scored = false }\n"));
}

TEST_F(ConfigTest, NoStreamTakesTheNameOfTheDeadLetter) {
  const std::string error = error_of(
      "[streams.dead_letter]\ndevice = \"d\"\ntime = \"t\"\n[[streams.dead_letter.columns]]\nname = \"d\"\n"
      "type = \"text\"\n[[streams.dead_letter.columns]]\nname = \"t\"\ntype = \"timestamptz\"\n");
  EXPECT_EQ(error,
            "wellhead.toml:1:1: streams.dead_letter: the node keeps bad records in a stream of this name; "
            "choose another.");
}

TEST_F(ConfigTest, DeadLettersThatDoNotFitABatchAreRefused) {
  const std::string error = error_of("[dead_letter]\npayload_bytes_max = \"256KiB\"\n");
  EXPECT_TRUE(
      error.starts_with("wellhead.toml:2:21: dead_letter.payload_bytes_max = \"256KiB\" makes rows of "))
      << error;
}

TEST_F(ConfigTest, AStreamWhoseRowsDoNotFitABatchIsRefused) {
  const std::string error = error_of(
      "[streams.big]\ndevice = \"d\"\ntime = \"t\"\n[[streams.big.columns]]\nname = \"d\"\ntype = \"text\"\n"
      "[[streams.big.columns]]\nname = \"t\"\ntype = \"timestamptz\"\n"
      "[[streams.big.columns]]\nname = \"x\"\ntype = \"jsonb\"\nmax_bytes = \"1MiB\"\n");
  EXPECT_TRUE(error.starts_with("wellhead.toml:1:1: streams.big: its longest row takes ")) << error;
}

}  // namespace
}  // namespace wellhead
