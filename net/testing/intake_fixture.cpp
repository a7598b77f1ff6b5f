#include "net/testing/intake_fixture.hpp"

#include <utility>

namespace wellhead::testing {
namespace {

SchemaPointer telemetry() {
  for (StreamConfig& config : builtin_streams())
    if (config.name == "telemetry") return *Schema::compile(std::move(config), 0);
  return nullptr;
}

}  // namespace

std::string record(const std::string& device, int second) {
  return R"({"timestamp":"2026-03-01T12:00:)" + std::string(second < 10 ? "0" : "") + std::to_string(second) +
         R"(Z","device_id":")" + device + R"(","temperature":68.5})" + "\n";
}

void IntakeFixture::make(const BatchingOptions& options, JournalWriter* writer, LedgerTable* ledger) {
  schema_ = telemetry();
  std::vector<ShardPort> ports;
  for (std::size_t shard = 0; shard < shard_count; ++shard)
    ports.push_back({&inboxes_[shard], [this, shard] { return available_[shard]; },
                     [] { return std::string("the database is away"); }});
  intake_ =
      std::make_unique<BatchingIntake>(options, std::move(ports), returns_, clock_, board_, writer, ledger);
  back_ = std::make_unique<Mailbox::Sender>(returns_);
}

SubmitResult IntakeFixture::submit(std::string body, std::uint64_t cookie, bool all_or_nothing,
                                   AckLevel ack) {
  const std::size_t size = body.size();
  body.append(input_padding_bytes, '\0');
  return intake_->submit({.schema = schema_.get(),
                          .body = std::string_view(body).substr(0, size),
                          .format = BodyFormat::detect,
                          .connection = {.slot = 4, .generation = 2},
                          .cookie = cookie,
                          .all_or_nothing = all_or_nothing,
                          .ack = ack,
                          .wants_receipt = true});
}

std::vector<Batch*> IntakeFixture::take(std::size_t shard) {
  std::array<Batch*, 512> taken{};
  const std::size_t count = inboxes_[shard].take(taken);
  return {taken.begin(), taken.begin() + static_cast<std::ptrdiff_t>(count)};
}

std::vector<Batch*> IntakeFixture::take_all() {
  std::vector<Batch*> all;
  for (std::size_t shard = 0; shard < shard_count; ++shard)
    for (Batch* batch : take(shard)) all.push_back(batch);
  return all;
}

void IntakeFixture::give_back(Batch* batch, BatchOutcome outcome) {
  batch->set_outcome(outcome);
  back_->send(batch);
}

void IntakeFixture::expect_conservation() const {
  std::uint64_t rejected = 0;
  for (const Counter& counter : stats().records_rejected) rejected += counter.value();
  EXPECT_EQ(stats().records_received.value(),
            stats().records_accepted.value() + rejected + stats().records_duplicate.value() +
                stats().records_quarantined.value() + stats().records_abandoned.value() +
                static_cast<std::uint64_t>(stats().records_pending.value()));
}

}  // namespace wellhead::testing
