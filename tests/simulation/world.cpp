#include "tests/simulation/world.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.hpp"
#include "codec/decoder.hpp"
#include "tests/simulation/node.hpp"

namespace wellhead::simulation {
namespace {

constexpr std::uint64_t steps_min = 100;
constexpr std::uint64_t steps_spread = 300;
constexpr std::uint64_t records_per_request_max = 24;
constexpr std::uint64_t devices = 7;
constexpr std::uint64_t disk_bytes = 4U << 20;
constexpr std::uint64_t drain_rounds_max = 4'000;
constexpr std::size_t forgotten_max = 40;  // transactions a replica is behind
constexpr std::int64_t millisecond_ns = 1'000'000;
constexpr std::int64_t drain_round_ns = 100 * millisecond_ns;

std::string body_of(const std::vector<std::int64_t>& ids, std::int64_t unix_us) {
  std::string body = "[";
  for (const std::int64_t id : ids) {
    if (body.size() > 1) body += ',';
    body += "{\"timestamp\":" + std::to_string(unix_us) + ",\"device_id\":\"d" +
            std::to_string(static_cast<std::uint64_t>(id) % devices) + "\",\"id\":" + std::to_string(id) +
            "}";
  }
  return body + "]";
}

}  // namespace

void Tally::add(const Tally& other) noexcept {
  requests += other.requests;
  records_acknowledged += other.records_acknowledged;
  records_unknown += other.records_unknown;
  node_crashes += other.node_crashes;
  power_losses += other.power_losses;
  database_crashes += other.database_crashes;
  failovers += other.failovers;
  latches += other.latches;
  disk_faults += other.disk_faults;
  refusals += other.refusals;
  segments_trimmed += other.segments_trimmed;
  rows_replayed += other.rows_replayed;
}

World::World(std::uint64_t seed, Mutation mutation)
    : seed_(seed),
      mutation_(mutation),
      random_(seed),
      disk_({.seed = seed, .disk_bytes = disk_bytes}),
      server_(seed ^ 0x5EEDU),
      streams_(simulated_streams()),
      may_fail_over_(random_() % 2 == 0) {
  server_.progress_outside_transaction = mutation == Mutation::progress_outside_transaction;
}

World::~World() = default;

bool World::chance(double probability) {
  return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
}

std::optional<std::string> World::run() {
  server_.faults = {.breaks = chance(0.5) ? 0.02 : 0.0, .serialization = chance(0.3) ? 0.02 : 0.0};
  const std::uint64_t steps = steps_min + below(steps_spread);
  for (std::uint64_t count = 0; count < steps && trouble_.empty(); ++count) {
    if (node_ == nullptr && !start_node()) mend();
    if (node_ != nullptr) step();
  }
  mend();
  if (trouble_.empty() && !drain()) trouble_ = "the node does not come to rest after everything was mended";
  if (trouble_.empty()) trouble_ = check().value_or("");
  if (trouble_.empty()) return std::nullopt;
  return "seed " + std::to_string(seed_) + ": " + trouble_;
}

bool World::start_node() {
  const NodeShape shape{.reactors = static_cast<std::uint32_t>(1 + below(2)),
                        .shards = static_cast<std::uint32_t>(1 + below(3)),
                        .direct = chance(0.7),
                        .keeps_flushed = may_fail_over_};
  auto started = Node::start(disk_, clock_, server_, streams_, shape);
  ++starts_;
  if (started) {
    node_ = std::move(*started);
    return true;
  }
  // A disk that fails may keep the node from starting; it must never be told that its data is damaged.
  if (started.error().code != JournalErrorCode::io)
    trouble_ = "the journal cannot be opened: " + started.error().sentence;
  return false;
}

// What the clients were not told by now they will never be told.
void World::kill_node(bool power_loss) {
  if (node_ != nullptr && !power_loss)
    for (std::size_t reactor = 0; reactor < node_->reactors(); ++reactor)
      // The kernel finishes what it was given, or was not given it yet.
      if (chance(0.5) && mutation_ != Mutation::acknowledged_before_sync) node_->perform(reactor);
  if (node_ != nullptr) tally_.rows_replayed += node_->rows_replayed();
  node_.reset();
  if (power_loss) {
    disk_.crash();
    ++tally_.power_losses;
  } else {
    ++tally_.node_crashes;
  }
  waiting_.clear();
}

void World::step() {
  clock_.advance(static_cast<std::int64_t>(below(30)) * millisecond_ns / 4);
  const std::size_t reactor = below(node_->reactors());
  switch (below(10)) {
    case 0:
    case 1:
      submit();
      break;
    case 2:
    case 3:
      node_->turn(reactor, *this);
      if (mutation_ == Mutation::acknowledged_before_sync) node_->lie_about(reactor);
      break;
    case 4:
    case 5:
      node_->perform(reactor);
      break;
    case 6:
    case 7:
      (void)node_->shard(below(node_->shards())).step();
      break;
    case 8:
      (void)node_->journal().work();
      if (chance(0.3)) tally_.segments_trimmed += node_->trim();
      break;
    default:
      if (chance(0.25)) disturb();
      break;
  }
}

void World::submit() {
  Sent sent{.ids = {}, .node = starts_};
  const std::uint64_t count = 1 + below(records_per_request_max);
  for (std::uint64_t record = 0; record < count; ++record) sent.ids.push_back(++last_id_);
  std::string body = body_of(sent.ids, clock_.wall_us() + postgres_epoch_unix_us);
  const std::size_t size = body.size();
  body.resize(size + input_padding_bytes);
  const std::uint64_t cookie = ++last_cookie_;
  const SubmitResult result = node_->intake(below(node_->reactors()))
                                  .submit({.schema = streams_.front().get(),
                                           .body = std::string_view(body).substr(0, size),
                                           .format = BodyFormat::detect,
                                           .connection = {},
                                           .cookie = cookie,
                                           .ack = chance(0.8) ? AckLevel::journal : AckLevel::commit});
  ++tally_.requests;
  const Fate fate = result.submission == Submission::taken ? Fate::unknown : Fate::refused;
  for (const std::int64_t id : sent.ids) fates_[id] = fate;
  if (fate == Fate::refused) ++tally_.refusals;
  if (fate == Fate::unknown) waiting_.emplace(cookie, std::move(sent));
}

void World::on_request_done(ConnectionId, const RequestOutcome& outcome) {
  const auto found = waiting_.find(outcome.cookie);
  if (found == waiting_.end()) {
    trouble_ = "a request was answered twice, or was never taken";
    return;
  }
  if (!outcome.abandoned) {
    if (outcome.accepted != found->second.ids.size()) trouble_ = "a request was accepted in part";
    for (const std::int64_t id : found->second.ids) fates_[id] = Fate::acknowledged;
    tally_.records_acknowledged += found->second.ids.size();
  } else if (outcome.nothing_stored) {
    for (const std::int64_t id : found->second.ids) fates_[id] = Fate::refused;
  }
  waiting_.erase(found);
}

void World::disturb() {
  switch (below(8)) {
    case 0:
      kill_node(false);
      break;
    case 1:
      kill_node(true);
      break;
    case 2:
      server_.crash();
      ++tally_.database_crashes;
      break;
    case 3:
      server_.up = !server_.up;
      if (!server_.up) server_.crash();
      break;
    case 4:
      if (!may_fail_over_) break;
      server_.fail_over(forgotten_max);
      ++tally_.failovers;
      break;
    case 5:
      arm_disk_fault();
      break;
    case 6:
      // The power goes in the middle of a change to come.
      disk_.lose_power_in(1 + below(6));
      break;
    default:
      mend();
      break;
  }
}

void World::arm_disk_fault() {
  constexpr std::array<SimulatedCall, 3> calls{SimulatedCall::write, SimulatedCall::synchronize,
                                               SimulatedCall::allocate};
  constexpr std::array<int, 3> errors{EIO, ENOSPC, SimulatedFault::shortened};
  const SimulatedCall call = calls[below(calls.size())];
  const int error = call == SimulatedCall::write ? errors[below(errors.size())] : EIO;
  disk_.arm({.call = call, .error = error, .in = 1 + below(4)});
  ++tally_.disk_faults;
}

// What an operator does: power and database are back, the disk works, and the node is told to try again.
void World::mend() {
  disk_.disarm();
  server_.up = true;
  if (!disk_.powered()) kill_node(true);
  if (node_ == nullptr) return;
  if (!node_->latched()) return;
  ++tally_.latches;
  for (std::size_t reactor = 0; reactor < node_->reactors(); ++reactor)
    node_->intake(reactor).reopen_journal();
}

// Long enough for every shard to look whether its connection is still there: only then a database that forgot
// commits while the node idled is found out.
bool World::drain() {
  server_.faults = {};
  std::int64_t at_rest_ns = 0;
  for (std::uint64_t round = 0; round < drain_rounds_max && trouble_.empty(); ++round) {
    // The power may go now that was to go with one of the next changes.
    if (!disk_.powered()) mend();
    if (node_ == nullptr && !start_node()) continue;
    if (node_->latched()) mend();
    (void)node_->journal().work();
    for (std::size_t reactor = 0; reactor < node_->reactors(); ++reactor) {
      node_->turn(reactor, *this);
      node_->perform(reactor);
    }
    tally_.segments_trimmed += node_->trim();
    for (std::size_t shard = 0; shard < node_->shards(); ++shard) (void)node_->shard(shard).step();
    clock_.advance(drain_round_ns);
    at_rest_ns = node_->drained() ? at_rest_ns + drain_round_ns : 0;
    if (at_rest_ns > 3 * std::chrono::nanoseconds(idle_interval).count()) return true;
  }
  return false;
}

std::optional<std::string> World::check() const {
  std::uint64_t stored = 0;
  for (const auto& [id, fate] : fates_) {
    const std::uint64_t count = server_.count_of(id);
    stored += count > 0 ? 1 : 0;
    const std::string record = "record " + std::to_string(id);
    if (fate == Fate::acknowledged && count == 0) return record + " was acknowledged and is lost";
    if (count > 1) return record + " is stored " + std::to_string(count) + " times";
    if (fate == Fate::refused && count > 0) return record + " was refused and is stored";
  }
  if (stored != server_.rows().size()) return "the table holds rows that nobody sent";
  return std::nullopt;
}

}  // namespace wellhead::simulation
