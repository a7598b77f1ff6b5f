#include "net/batching_intake.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace wellhead {
namespace {

class FixedClock final : public Clock {
 public:
  // 2026-03-01T12:00:00Z
  [[nodiscard]] std::int64_t wall_us() const noexcept override {
    return 1'772'366'400'000'000 - postgres_epoch_unix_us;
  }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return 0; }
};

struct Listener final : RequestListener {
  std::vector<RequestOutcome> outcomes;
  std::vector<ConnectionId> connections;
  int capacity_calls = 0;

  void on_request_done(ConnectionId connection, const RequestOutcome& outcome) override {
    connections.push_back(connection);
    outcomes.push_back(outcome);
  }
  void on_capacity() override { ++capacity_calls; }
};

SchemaPointer telemetry() {
  for (StreamConfig& config : builtin_streams())
    if (config.name == "telemetry") return *Schema::compile(std::move(config), 0);
  return nullptr;
}

std::string record(const std::string& device, int second) {
  return R"({"timestamp":"2026-03-01T12:00:)" + std::string(second < 10 ? "0" : "") + std::to_string(second) +
         R"(Z","device_id":")" + device + R"(","temperature":68.5})" + "\n";
}

// An intake with hand-driven shards.
class BatchingIntakeTest : public testing::Test {
 protected:
  static constexpr std::size_t shard_count = 2;

  void make(BatchingOptions options = {}) {
    std::vector<ShardPort> ports;
    for (std::size_t shard = 0; shard < shard_count; ++shard) {
      ports.push_back({&inboxes_[shard], [this, shard] { return available_[shard]; },
                       [] { return std::string("the database is away"); }});
    }
    intake_ = std::make_unique<BatchingIntake>(options, std::move(ports), returns_, clock_, board_, nullptr);
    back_ = std::make_unique<Mailbox::Sender>(returns_);
  }

  SubmitResult submit(std::string body, std::uint64_t cookie = 1, bool all_or_nothing = false) {
    const std::size_t size = body.size();
    body.append(input_padding_bytes, '\0');
    return intake_->submit({.schema = schema_.get(),
                            .body = std::string_view(body).substr(0, size),
                            .format = BodyFormat::detect,
                            .connection = {.slot = 4, .generation = 2},
                            .cookie = cookie,
                            .all_or_nothing = all_or_nothing});
  }

  std::vector<Batch*> take(std::size_t shard) {
    std::array<Batch*, 512> taken{};
    const std::size_t count = inboxes_[shard].take(taken);
    return {taken.begin(), taken.begin() + static_cast<std::ptrdiff_t>(count)};
  }

  std::vector<Batch*> take_all() {
    std::vector<Batch*> all;
    for (std::size_t shard = 0; shard < shard_count; ++shard)
      for (Batch* batch : take(shard)) all.push_back(batch);
    return all;
  }

  void give_back(Batch* batch, BatchOutcome outcome) {
    batch->set_outcome(outcome);
    back_->send(batch);
  }

  void expect_conservation() {
    std::uint64_t rejected = 0;
    for (const Counter& counter : intake_->stats().records_rejected) rejected += counter.value();
    const IntakeStats& stats = intake_->stats();
    EXPECT_EQ(stats.records_received.value(), stats.records_accepted.value() + rejected +
                                                  stats.records_abandoned.value() +
                                                  static_cast<std::uint64_t>(stats.records_pending.value()));
  }

  void TearDown() override { expect_conservation(); }

  FixedClock clock_;
  SchemaPointer schema_ = telemetry();
  std::array<Mailbox, shard_count> inboxes_;
  std::array<bool, shard_count> available_{true, true};
  LaneBoard board_{1, 1, shard_count, {}};
  Mailbox returns_;
  std::unique_ptr<BatchingIntake> intake_;
  std::unique_ptr<Mailbox::Sender> back_;
  Listener listener_;
};

TEST_F(BatchingIntakeTest, ARequestIsAnsweredWhenItsLastRowIsCommittedAndNotBefore) {
  make();
  std::string body;
  for (int device = 0; device < 40; ++device) body += record("well-" + std::to_string(device), device);
  ASSERT_EQ(submit(body, 77).submission, Submission::taken);
  intake_->turn(listener_);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 2U) << "forty devices must meet both shards";
  give_back(batches[0], BatchOutcome::committed);
  intake_->turn(listener_);
  EXPECT_TRUE(listener_.outcomes.empty());
  give_back(batches[1], BatchOutcome::committed);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 40U);
  EXPECT_EQ(listener_.outcomes[0].cookie, 77U);
  EXPECT_EQ(listener_.connections[0], (ConnectionId{4, 2}));
  EXPECT_EQ(intake_->pending(), 0U);
}

TEST_F(BatchingIntakeTest, RowsOfOneDeviceStayInOneShardInOrder) {
  make();
  for (int second = 0; second < 30; ++second)
    ASSERT_EQ(submit(record("well-1", second)).submission, Submission::taken);
  intake_->turn(listener_);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 1U);
  std::int64_t previous = INT64_MIN;
  for_each_row(*batches[0], [&](const RowHeader& header, std::span<const std::byte>, std::uint32_t) {
    EXPECT_GT(header.time_us, previous);
    previous = header.time_us;
  });
}

TEST_F(BatchingIntakeTest, ARequestOfBadRecordsIsAnsweredWithoutTheDatabase) {
  make();
  ASSERT_EQ(submit("{\"device_id\":\"x\"}\nnot json\n").submission, Submission::taken);
  EXPECT_FALSE(intake_->prepare_sleep()) << "an outcome is waiting";
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 2U);
  EXPECT_EQ(listener_.outcomes[0].errors.kept()[0].code, RecordErrorCode::missing_field);
}

TEST_F(BatchingIntakeTest, ARefusedRowCostsOnlyItself) {
  make();
  ASSERT_EQ(submit(record("a", 1) + "broken\n" + record("a", 2) + record("a", 3), 1).submission,
            Submission::taken);
  ASSERT_EQ(submit(record("a", 4), 2).submission, Submission::taken);
  intake_->turn(listener_);
  const std::vector<Batch*> batches = take_all();
  ASSERT_EQ(batches.size(), 1U);
  batches[0]->refused().push_back(
      {.row = 1, .record_index = 2, .sqlstate = "23514", .message = "violates check"});
  give_back(batches[0], BatchOutcome::committed);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 2U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 2U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 2U);
  EXPECT_EQ(listener_.outcomes[0].errors.kept().back().code, RecordErrorCode::database_refused);
  EXPECT_EQ(listener_.outcomes[0].errors.kept().back().index, 2U);
  EXPECT_NE(listener_.outcomes[0].errors.kept().back().message.find("23514"), std::string::npos);
  EXPECT_EQ(listener_.outcomes[1].accepted, 1U);
}

TEST_F(BatchingIntakeTest, ABrokenArrayLeavesNothingBehind) {
  make();
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  const SubmitResult result = submit("[" + record("a", 2) + "," + record("b", 3) + ",{\"dev", 2);
  EXPECT_EQ(result.submission, Submission::malformed);
  intake_->turn(listener_);
  std::uint32_t rows = 0;
  for (Batch* batch : take_all()) {
    rows += batch->row_count();
    give_back(batch, BatchOutcome::committed);
  }
  EXPECT_EQ(rows, 1U);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 1U);
}

TEST_F(BatchingIntakeTest, AllOrNothingStoresNothingWhenARecordIsBad) {
  make();
  ASSERT_EQ(submit(record("a", 1) + "{}\n", 1, true).submission, Submission::taken);
  intake_->turn(listener_);
  EXPECT_TRUE(take_all().empty());
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_EQ(listener_.outcomes[0].accepted, 0U);
  EXPECT_EQ(listener_.outcomes[0].rejected, 2U);
  EXPECT_EQ(listener_.outcomes[0].errors.count(), 1U);
}

TEST_F(BatchingIntakeTest, RewindingCrossesBatchesFilledByTheSameRequest) {
  make({.batch_bytes = 4096, .batches_max = 64});
  ASSERT_EQ(submit(record("a", 1), 1).submission, Submission::taken);
  std::string body;
  for (int row = 0; row < 200; ++row) body += record("a", row % 60);
  ASSERT_EQ(submit(body + "{}\n", 2, true).submission, Submission::taken);
  intake_->turn(listener_);
  std::uint32_t rows = 0;
  for (Batch* batch : take_all()) rows += batch->row_count();
  EXPECT_EQ(rows, 1U);
}

TEST_F(BatchingIntakeTest, WithoutFreeBatchesItIsBusyAndSaysWhenItIsNot) {
  make({.batch_bytes = 4096, .batches_max = 2});
  std::string body;
  for (int row = 0; row < 15; ++row) body += record("a", row);
  ASSERT_EQ(submit(body, 1).submission, Submission::taken);
  intake_->turn(listener_);
  ASSERT_EQ(submit(body + body + body, 2).submission, Submission::busy);
  EXPECT_EQ(intake_->stats().batch_exhaustions.value(), 1U);
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 0);
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::committed);
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 1);
}

TEST_F(BatchingIntakeTest, ARequestLargerThanAllBatchesIsRefusedForGood) {
  make({.batch_bytes = 4096, .batches_max = 2});
  std::string body;
  for (int row = 0; row < 200; ++row) body += record("a", row % 60);
  const SubmitResult result = submit(body);
  EXPECT_EQ(result.submission, Submission::malformed);
  EXPECT_EQ(result.code, RecordErrorCode::record_too_large);
}

TEST_F(BatchingIntakeTest, WhileAShardCannotCommitNothingIsTaken) {
  make();
  available_[1] = false;
  intake_->turn(listener_);
  const SubmitResult result = submit(record("a", 1));
  EXPECT_EQ(result.submission, Submission::unavailable);
  EXPECT_EQ(result.message, "the database is away");
  available_[1] = true;
  intake_->turn(listener_);
  EXPECT_EQ(listener_.capacity_calls, 1);
  EXPECT_EQ(submit(record("a", 1)).submission, Submission::taken);
}

TEST_F(BatchingIntakeTest, SmallRequestsShareABatchWhileTheShardIsBehind) {
  make({.batches_away_eager = 1});
  ASSERT_EQ(submit(record("a", 0), 0).submission, Submission::taken);
  intake_->turn(listener_);
  const std::vector<Batch*> first = take_all();
  ASSERT_EQ(first.size(), 1U);
  for (std::uint64_t request = 1; request <= 20; ++request) {
    ASSERT_EQ(submit(record("a", 1), request).submission, Submission::taken);
    intake_->turn(listener_);
  }
  EXPECT_TRUE(take_all().empty());
  give_back(first[0], BatchOutcome::committed);
  intake_->turn(listener_);
  const std::vector<Batch*> second = take_all();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0]->row_count(), 20U);
}

TEST_F(BatchingIntakeTest, AbandonedRowsAreNeverReportedAsAccepted) {
  make();
  ASSERT_EQ(submit(record("a", 1) + record("a", 2)).submission, Submission::taken);
  intake_->turn(listener_);
  for (Batch* batch : take_all()) give_back(batch, BatchOutcome::abandoned);
  intake_->turn(listener_);
  ASSERT_EQ(listener_.outcomes.size(), 1U);
  EXPECT_TRUE(listener_.outcomes[0].abandoned);
  EXPECT_EQ(listener_.outcomes[0].accepted, 0U);
  EXPECT_EQ(intake_->stats().records_abandoned.value(), 2U);
}

}  // namespace
}  // namespace wellhead
