// A batching intake with shards, and a journal if wanted, that the test drives by hand.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/batching_intake.hpp"
#include "net/testing/fake_writer.hpp"

namespace wellhead::testing {

class FixedClock final : public Clock {
 public:
  // 2026-03-01T12:00:00Z
  [[nodiscard]] std::int64_t wall_us() const noexcept override {
    return 1'772'366'400'000'000 - postgres_epoch_unix_us;
  }
  [[nodiscard]] std::int64_t monotonic_ns() const noexcept override { return 0; }
};

struct OutcomeLog final : RequestListener {
  std::vector<RequestOutcome> outcomes;  // their receipts are in `receipts`
  std::vector<std::string> receipts;
  std::vector<ConnectionId> connections;
  int capacity_calls = 0;

  void on_request_done(ConnectionId connection, const RequestOutcome& outcome) override {
    connections.push_back(connection);
    receipts.emplace_back(outcome.receipt);
    outcomes.push_back(outcome);
    outcomes.back().receipt = {};
  }
  void on_capacity() override { ++capacity_calls; }
};

// A line of the stream telemetry. Devices "a" and "well-1" have one shard each of two.
[[nodiscard]] std::string record(const std::string& device, int second);

class IntakeFixture : public ::testing::Test {
 protected:
  static constexpr std::size_t shard_count = 2;

  void make(const BatchingOptions& options = {}, JournalWriter* writer = nullptr,
            LedgerTable* ledger = nullptr);
  [[nodiscard]] SubmitResult submit(std::string body, std::uint64_t cookie = 1, bool all_or_nothing = false,
                                    AckLevel ack = AckLevel::journal);
  // What lies in the shards' mailboxes.
  [[nodiscard]] std::vector<Batch*> take(std::size_t shard);
  [[nodiscard]] std::vector<Batch*> take_all();
  void give_back(Batch* batch, BatchOutcome outcome);
  // received = accepted + rejected + duplicate + quarantined + abandoned + pending
  void expect_conservation() const;
  [[nodiscard]] const IntakeStats& stats() const { return intake_->stats(); }
  void TearDown() override { expect_conservation(); }

  FixedClock clock_;
  SchemaPointer schema_;
  std::array<Mailbox, shard_count> inboxes_;
  std::array<bool, shard_count> available_{true, true};
  LaneBoard board_{1, 1, shard_count, {}};
  Mailbox returns_;
  std::unique_ptr<BatchingIntake> intake_;
  std::unique_ptr<Mailbox::Sender> back_;
  OutcomeLog listener_;
};

}  // namespace wellhead::testing
