#include <gtest/gtest.h>
#include <xxhash.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/attributes.hpp"
#include "engine/temporary_directory.hpp"
#include "journal/posix_file_system.hpp"

namespace wellhead {
namespace {

using namespace std::chrono_literals;

// A server that has one table of devices, or is away.
struct FakeServer {
  std::mutex mutex;
  DatabaseRows rows;
  std::string refuses;  // what it says instead; empty: it answers
  bool away = false;
  std::vector<std::string> statements;

  void set(DatabaseRows fresh) {
    const std::lock_guard lock(mutex);
    rows = std::move(fresh);
    away = false;
  }
};

class FakeDatabase final : public Database {
 public:
  explicit FakeDatabase(FakeServer& server) : server_(server) {}
  void interrupt_with(const std::atomic<bool>*) noexcept override {}
  void on_notice(std::function<void(const DatabaseNotice&)>) override {}
  DatabaseResult<void> connect() override {
    const std::lock_guard lock(server_.mutex);
    if (server_.away) return std::unexpected(DatabaseError{"", "connection refused", ""});
    return {};
  }
  void disconnect() noexcept override {}
  bool connected() const noexcept override { return true; }
  bool in_transaction() const noexcept override { return false; }
  bool alive() override { return true; }
  DatabaseResult<DatabaseStep> run(std::string_view statements) override {
    const std::lock_guard lock(server_.mutex);
    server_.statements.emplace_back(statements);
    if (!server_.refuses.empty()) return std::unexpected(DatabaseError{"42703", server_.refuses, ""});
    return DatabaseStep{};
  }
  DatabaseResult<void> copy_data(std::span<const std::byte>) override { return {}; }
  DatabaseResult<DatabaseStep> copy_end() override { return DatabaseStep{}; }
  DatabaseResult<DatabaseRows> query(std::string_view) override {
    const std::lock_guard lock(server_.mutex);
    return fetched_++ == 0 ? server_.rows : DatabaseRows{};
  }

 private:
  FakeServer& server_;
  int fetched_ = 0;
};

StreamConfig stream_config(std::string attribute = "site") {
  StreamConfig config{.name = "wells", .table = "wells", .device_column = "device", .time_column = "time"};
  config.attributes.query = "SELECT * FROM device;  ";
  config.attributes.refresh_s = 3600;
  config.columns = {{.name = "device", .type = ColumnType::text},
                    {.name = "time", .type = ColumnType::timestamptz},
                    {.name = "site",
                     .type = ColumnType::text,
                     .source = ColumnSource::attribute,
                     .attribute = std::move(attribute)}};
  return config;
}

SchemaPointer compiled(StreamConfig config) {
  auto schema = Schema::compile(std::move(config), 0);
  EXPECT_TRUE(schema) << schema.error();
  return *schema;
}

class AttributeKeeperTest : public testing::Test {
 protected:
  std::unique_ptr<AttributeKeeper> keeper() {
    return std::make_unique<AttributeKeeper>([this] { return std::make_unique<FakeDatabase>(server_); },
                                             files_.get());
  }
  // The site of the device by the rules in force; "unknown" for a device that is not in the table.
  std::string site_of(std::string_view device) {
    std::uint64_t generation = 0;
    const StreamRules rules = stream_->rules().get(generation);
    std::vector<Slot> slots(3);
    if (rules.attributes == nullptr) return "no table";
    if (!rules.attributes->fill(XXH3_64bits(device.data(), device.size()), device, slots)) return "unknown";
    return slots[2].length < 0 ? "" : std::string(slots[2].text, static_cast<std::size_t>(slots[2].length));
  }
  void wait_for(std::string_view site) {
    for (int attempt = 0; attempt < 500 && site_of("well-1") != site; ++attempt)
      std::this_thread::sleep_for(10ms);
    ASSERT_EQ(site_of("well-1"), site);
  }

  FakeServer server_;
  TemporaryDirectory directory_;
  std::unique_ptr<PosixFileSystem> files_ = *PosixFileSystem::open(directory_ / "journal");
  SchemaPointer stream_ = compiled(stream_config());
};

TEST_F(AttributeKeeperTest, UntilTheDatabaseAnswersEachDeviceIsUnknown) {
  server_.away = true;
  const auto attributes = keeper();
  attributes->adopt({{.stream = stream_}});
  EXPECT_EQ(site_of("well-1"), "unknown");
  attributes->start();
  for (int attempt = 0; attempt < 500 && attributes->read()[0].failures == 0; ++attempt)
    std::this_thread::sleep_for(10ms);
  EXPECT_GT(attributes->read()[0].failures, 0U);
  EXPECT_EQ(attributes->read()[0].loaded_unix_s, 0);
  server_.set({{"well-1", "north"}});
  attributes->adopt({{.stream = stream_}});  // asks at once
  wait_for("north");
  EXPECT_EQ(attributes->read()[0].devices, 1U);
  EXPECT_GT(attributes->read()[0].loaded_unix_s, 0);
}

TEST_F(AttributeKeeperTest, WhatAQueryToldIsThereAfterARestartWithoutTheDatabase) {
  server_.set({{"well-1", "north \"1\""}, {"well-2", std::nullopt}});
  {
    const auto attributes = keeper();
    attributes->adopt({{.stream = stream_}});
    attributes->start();
    wait_for("north \"1\"");
    for (int attempt = 0; attempt < 500 && saved_attributes(*files_, stream_->config()) == nullptr; ++attempt)
      std::this_thread::sleep_for(10ms);
  }
  stream_ = compiled(stream_config());
  server_.away = true;
  const auto attributes = keeper();
  attributes->adopt({{.stream = stream_}});
  EXPECT_EQ(site_of("well-1"), "north \"1\"");
  EXPECT_EQ(site_of("well-2"), "");
  EXPECT_EQ(site_of("well-3"), "unknown");
}

TEST_F(AttributeKeeperTest, ASavedTableThatIsDamagedOrOfOtherColumnsIsNotUsed) {
  ASSERT_TRUE(save_attributes(*files_, stream_->config(), "\"device\",\"site\"\n\"well-1\",\"north\"\n"));
  ASSERT_NE(saved_attributes(*files_, stream_->config()), nullptr);
  EXPECT_EQ(saved_attributes(*files_, stream_config("place")), nullptr);
  std::ofstream(directory_ / "journal/attributes/wells.csv", std::ios::app) << "x";
  EXPECT_EQ(saved_attributes(*files_, stream_->config()), nullptr);
}

TEST_F(AttributeKeeperTest, ARefusedQueryLeavesTheTableInForce) {
  server_.set({{"well-1", "north"}});
  const auto attributes = keeper();
  attributes->adopt({{.stream = stream_}});
  attributes->start();
  wait_for("north");
  {
    const std::lock_guard lock(server_.mutex);
    server_.refuses = "column t.site does not exist";
  }
  attributes->adopt({{.stream = stream_}});
  for (int attempt = 0; attempt < 500 && attributes->read()[0].failures == 0; ++attempt)
    std::this_thread::sleep_for(10ms);
  EXPECT_EQ(attributes->read()[0].failures, 1U);
  EXPECT_EQ(site_of("well-1"), "north");
}

TEST_F(AttributeKeeperTest, ATableFromAFileIsInForceAtOnceAndGoesWithTheFile) {
  StreamConfig config = stream_config();
  config.attributes = {.file = "devices.csv"};
  const SchemaPointer from_file = compiled(config);
  auto table = read_attributes(config, "device,site\nwell-1,south\n", "devices.csv");
  ASSERT_TRUE(table);
  const auto attributes = keeper();
  attributes->adopt({{.stream = stream_, .rules = from_file, .table = *table}});
  EXPECT_EQ(site_of("well-1"), "south");
  EXPECT_GT(attributes->read()[0].loaded_unix_s, 0);
  config.attributes = {};
  config.columns[2] = {.name = "site", .type = ColumnType::text};
  attributes->adopt({{.stream = stream_, .rules = compiled(config), .table = nullptr}});
  EXPECT_EQ(site_of("well-1"), "no table");
  EXPECT_TRUE(attributes->read().empty());
}

TEST_F(AttributeKeeperTest, WhatIsNoLongerInForceIsFreedWhenNobodyHoldsIt) {
  server_.set({{"well-1", "north"}});
  const auto attributes = keeper();
  attributes->adopt({{.stream = stream_}});
  attributes->start();
  wait_for("north");
  RulesHold reactor;
  reactor.refresh(*stream_);
  std::uint64_t generation = 0;
  const std::weak_ptr<const DeviceAttributes> old = stream_->rules().get(generation).attributes;
  server_.set({{"well-1", "south"}});
  attributes->adopt({{.stream = stream_}});
  wait_for("south");
  EXPECT_FALSE(old.expired());
  reactor.refresh(*stream_);
  for (int attempt = 0; attempt < 500 && !old.expired(); ++attempt) std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(old.expired());
}

TEST_F(AttributeKeeperTest, TheQueryIsAskedForTheColumnsThatAreWantedWhateverItsEnd) {
  StreamConfig config = stream_config("pump \"model\"");
  config.attributes.device_column = "id";
  EXPECT_EQ(attributes_statement(config),
            "SELECT t.\"id\"::text, t.\"pump \"\"model\"\"\"::text FROM (\nSELECT * FROM device\n) AS t");
}

}  // namespace
}  // namespace wellhead
