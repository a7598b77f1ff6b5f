#include "engine/record_account.hpp"

#include <algorithm>
#include <numeric>

namespace wellhead {
namespace {

constexpr int attempts_max = 16;

using Rejected = std::array<std::uint64_t, record_error_code_count>;

std::uint64_t sum(const Rejected& rejected) noexcept {
  return std::accumulate(rejected.begin(), rejected.end(), std::uint64_t{0});
}

IntakeAccount read_once(const IntakeStats& stats) {
  IntakeAccount account;
  account.received = stats.records_received.value();
  account.accepted = stats.records_accepted.value();
  account.quarantined = stats.records_quarantined.value();
  account.duplicate = stats.records_duplicate.value();
  account.abandoned = stats.records_abandoned.value();
  account.pending = stats.records_pending.value();
  for (std::size_t code = 0; code < record_error_code_count; ++code)
    account.rejected[code] = stats.records_rejected[code].value();
  return account;
}

// What the shards settled, and whether their lanes are at their end.
struct SinkAccount {
  std::uint64_t committed = 0;
  std::uint64_t refused = 0;
  std::uint64_t recovered = 0;
};

SinkAccount read_sink(const NodeView& node) {
  SinkAccount account;
  for (const ShardReading& shard : node.shards()) {
    account.committed += shard.stats->rows_committed.value();
    account.refused += shard.stats->rows_refused.value();
    account.recovered += shard.stats->rows_recovered.value();
  }
  return account;
}

bool lanes_at_their_end(const NodeView& node) {
  return std::ranges::all_of(node.shards(), [](const ShardReading& shard) { return shard.lag_batches == 0; });
}

RecordAccount combine(const IntakeAccount& intake, const SinkAccount& sink, bool at_end) {
  RecordAccount account;
  account.received = intake.received;
  account.recovered = sink.recovered;
  account.committed = sink.committed;
  account.duplicate = intake.duplicate;
  account.abandoned = intake.abandoned;
  account.rejected = intake.rejected;
  // Refused rows whose clients still waited were told to them as rejected.
  const std::uint64_t told = intake.rejected[static_cast<std::size_t>(RecordErrorCode::database_refused)];
  account.quarantined = std::max(sink.refused, told) - told;
  const auto unsettled = static_cast<std::int64_t>(intake.accepted + intake.quarantined + sink.recovered) -
                         static_cast<std::int64_t>(sink.committed + account.quarantined);
  const bool nothing_left = at_end && intake.pending == 0;
  account.queued = intake.pending + (nothing_left ? 0 : unsettled);
  account.unaccounted = intake.unaccounted() + (nothing_left ? unsettled : 0);
  return account;
}

RecordAccount read_node_once(const NodeView& node) {
  // The shards first: what they settled, the intakes have taken by then, so that nothing shows as settled
  // before it was taken.
  const SinkAccount sink = read_sink(node);
  IntakeAccount intake;
  for (const ReactorReading& reactor : node.reactors()) {
    if (reactor.intake != nullptr) intake.add(read_account(*reactor.intake));
  }
  return combine(intake, sink, lanes_at_their_end(node));
}

}  // namespace

std::uint64_t IntakeAccount::rejected_count() const noexcept {
  return sum(rejected);
}

std::int64_t IntakeAccount::unaccounted() const noexcept {
  return static_cast<std::int64_t>(received) - pending -
         static_cast<std::int64_t>(accepted + quarantined + duplicate + abandoned + rejected_count());
}

void IntakeAccount::add(const IntakeAccount& other) noexcept {
  received += other.received;
  accepted += other.accepted;
  quarantined += other.quarantined;
  duplicate += other.duplicate;
  abandoned += other.abandoned;
  pending += other.pending;
  for (std::size_t code = 0; code < record_error_code_count; ++code) rejected[code] += other.rejected[code];
}

IntakeAccount read_account(const IntakeStats& stats) {
  IntakeAccount account = read_once(stats);
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    const IntakeAccount again = read_once(stats);
    if (again == account && again.unaccounted() == 0) break;
    account = again;
  }
  return account;
}

std::uint64_t RecordAccount::rejected_count() const noexcept {
  return sum(rejected);
}

RecordAccount read_account(const NodeView& node) {
  RecordAccount account = read_node_once(node);
  // A hole is one only if it stays: threads go on while their counters are read one after another.
  for (int attempt = 0; attempt < attempts_max && account.unaccounted != 0; ++attempt)
    account = read_node_once(node);
  return account;
}

}  // namespace wellhead
