#include "tests/simulation/world.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "tests/simulation/node.hpp"

namespace wellhead::simulation {
namespace {

constexpr std::uint64_t steps_min = 100;
constexpr std::uint64_t steps_spread = 300;
constexpr std::uint64_t disk_bytes = 4U << 20;
constexpr std::uint64_t drain_rounds_max = 4'000;
constexpr std::size_t forgotten_max = 40;  // transactions a replica is behind
constexpr std::int64_t millisecond_ns = 1'000'000;
constexpr std::int64_t drain_round_ns = 100 * millisecond_ns;

}  // namespace

void Tally::add(const Tally& other) noexcept {
  requests += other.requests;
  records_acknowledged += other.records_acknowledged;
  refusals += other.refusals;
  repeats += other.repeats;
  replays += other.replays;
  conflicts += other.conflicts;
  rows_quarantined += other.rows_quarantined;
  node_crashes += other.node_crashes;
  power_losses += other.power_losses;
  database_crashes += other.database_crashes;
  failovers += other.failovers;
  latches += other.latches;
  disk_faults += other.disk_faults;
  segments_trimmed += other.segments_trimmed;
  rows_replayed += other.rows_replayed;
}

World::World(std::uint64_t seed, Mutation mutation)
    : seed_(seed),
      mutation_(mutation),
      dice_(seed),
      disk_({.seed = seed, .disk_bytes = disk_bytes}),
      hint_(static_cast<test::LineHint>(dice_.below(3))),
      streams_(simulated_streams()),
      account_(streams_),
      post_(*streams_.front(), tally_),
      plain_client_({dice_, clock_, account_, tally_, post_}),
      keyed_client_({dice_, clock_, account_, tally_, post_}),
      producers_{ProducerClient({dice_, clock_, account_, tally_, post_}, "pump"),
                 ProducerClient({dice_, clock_, account_, tally_, post_}, "valve")},
      may_fail_over_(dice_.chance(0.5)) {
  server_->progress_outside_transaction = mutation == Mutation::progress_outside_transaction;
}

World::~World() = default;

void World::find(Finding finding, std::string sentence) {
  if (!trouble_) trouble_ = Trouble{finding, std::move(sentence)};
}

std::optional<Trouble> World::run() {
  if (dice_.chance(0.5))
    call_faults_ = {
        .break_share = 0.02, .serialization_share = 0, .crash_share = 0.002, .node_death_share = 0.004};
  if (dice_.chance(0.3)) call_faults_.serialization_share = 0.02;
  const std::uint64_t steps = steps_min + dice_.below(steps_spread);
  for (std::uint64_t count = 0; count < steps && !trouble_; ++count) {
    if (node_ == nullptr && !start_node()) mend();
    if (node_ != nullptr) step();
  }
  mend();
  if (!trouble_ && !drain())
    find(Finding::stuck, "the node does not come to rest after everything was mended");
  std::optional<Trouble> trouble = verdict();
  if (trouble) trouble->sentence = "seed " + std::to_string(seed_) + ": " + trouble->sentence;
  tally_.rows_quarantined = account_.quarantined(server_->committed);
  return trouble;
}

// The tables are looked at before everything else that was noticed: what is lost or stored again is worse
// than what anybody was told.
std::optional<Trouble> World::verdict() {
  if (trouble_ && trouble_->finding == Finding::stuck) return trouble_;
  if (auto wrong = account_.check(server_->committed)) return wrong;
  if (trouble_) return trouble_;
  for (const std::string* complaint :
       {&post_.complaint(), &plain_client_.complaint(), &keyed_client_.complaint(),
        &producers_[0].complaint(), &producers_[1].complaint()})
    if (!complaint->empty()) return Trouble{Finding::wrong_answer, *complaint};
  return std::nullopt;
}

// What becomes of the next call to the database.
test::CallFate World::call_fate() {
  using enum test::CallFate;
  if (node_dies_) return breaks_before;
  if (dice_.chance(call_faults_.crash_share)) {
    crash_server();
    return breaks_before;
  }
  node_dies_ = dice_.chance(call_faults_.node_death_share);
  if (node_dies_ || dice_.chance(call_faults_.break_share))
    return dice_.chance(0.5) ? breaks_after : breaks_before;
  return dice_.chance(call_faults_.serialization_share) ? fails_serialization : goes_well;
}

std::unique_ptr<Database> World::connect() {
  auto connection = std::make_unique<test::SimulatedServer>(streams_, server_, false);
  connection->hint = hint_;
  connection->compressible = {streams_[0]->quoted_table()};
  connection->refuses = [this](const std::string& table, const std::string& tuple) {
    return account_.refuses(table, tuple);
  };
  connection->fate = [this] { return call_fate(); };
  return connection;
}

// Any number of the commits behind the last durable one are gone.
void World::crash_server() {
  server_->forget(dice_.below(server_->unflushed() + 1));
  ++tally_.database_crashes;
}

bool World::start_node() {
  const NodeShape shape{.reactors = static_cast<std::uint32_t>(1 + dice_.below(2)),
                        .shards = static_cast<std::uint32_t>(1 + dice_.below(3)),
                        .direct = dice_.chance(0.7) && mutation_ != Mutation::acknowledged_before_sync,
                        .keeps_flushed = may_fail_over_,
                        .late_ledger = mutation_ == Mutation::keys_behind_their_rows};
  auto started = Node::start(disk_, clock_, [this] { return connect(); }, streams_, shape);
  if (started) {
    node_ = std::move(*started);
    return true;
  }
  // A disk that fails may keep the node from starting; it must never be told that its data is damaged.
  if (started.error().code != JournalErrorCode::io)
    find(Finding::stuck, "the journal cannot be opened: " + started.error().sentence);
  return false;
}

// What the clients were not told by now they will never be told.
void World::kill_node(bool power_loss) {
  if (node_ != nullptr && !power_loss) {
    for (std::size_t reactor = 0; reactor < node_->reactors(); ++reactor)
      // The kernel finishes what it was given, or was not given it yet.
      if (dice_.chance(0.5)) node_->perform(reactor);
    if (dice_.chance(0.2)) node_->save_ledger();
  }
  if (node_ != nullptr) tally_.rows_replayed += node_->rows_replayed();
  node_.reset();
  if (power_loss) {
    disk_.crash();
    ++tally_.power_losses;
  } else {
    ++tally_.node_crashes;
  }
  post_.on_node_death();
  keyed_client_.on_node_death();
  for (ProducerClient& producer : producers_) producer.on_node_death();
}

void World::step() {
  clock_.advance(static_cast<std::int64_t>(dice_.below(30)) * millisecond_ns / 4);
  switch (dice_.below(12)) {
    case 0:
      plain_client_.act(*node_);
      break;
    case 1:
    case 2:
      keyed_client_.act(*node_);
      break;
    case 3:
      producers_[dice_.below(producers_.size())].act(*node_);
      break;
    case 4:
    case 5:
      turn(dice_.below(node_->reactors()));
      break;
    case 6:
    case 7:
      node_->perform(dice_.below(node_->reactors()));
      break;
    case 8:
    case 9:
      step_shard();
      break;
    case 10:
      (void)node_->journal().work();
      if (dice_.chance(0.3)) tally_.segments_trimmed += node_->trim();
      break;
    default:
      if (dice_.chance(0.25)) disturb();
      break;
  }
}

void World::turn(std::size_t reactor) {
  node_->turn(reactor, post_);
  if (!node_->conserves_records())
    find(Finding::wrong_answer, "the intake's account of records does not add up");
  if (mutation_ == Mutation::acknowledged_before_sync) node_->lie_about_synchronization(reactor);
}

void World::step_shard() {
  (void)node_->shard(dice_.below(node_->shards())).step();
  if (std::exchange(node_dies_, false)) kill_node(false);
}

void World::disturb() {
  switch (dice_.below(8)) {
    case 0:
      kill_node(false);
      break;
    case 1:
      kill_node(true);
      break;
    case 2:
      crash_server();
      break;
    case 3:
      server_->up = !server_->up;
      if (!server_->up) crash_server();
      break;
    case 4:
      if (!may_fail_over_) break;
      // A replica takes over that does not have the last transactions, durable or not.
      crash_server();
      server_->forget(dice_.below(std::min(forgotten_max, server_->commits()) + 1));
      ++tally_.failovers;
      break;
    case 5:
      arm_disk_fault();
      break;
    case 6:
      // The power goes in the middle of a change to come.
      disk_.lose_power_in(1 + dice_.below(6));
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
  const SimulatedCall call = calls[dice_.below(calls.size())];
  const int error = call == SimulatedCall::write ? errors[dice_.below(errors.size())] : EIO;
  disk_.arm({.call = call, .error = error, .in = 1 + dice_.below(4)});
  ++tally_.disk_faults;
}

// What an operator does: power and database are back, the disk works, and the node is told to try again.
void World::mend() {
  disk_.disarm();
  server_->up = true;
  if (!disk_.powered()) kill_node(true);
  if (node_ == nullptr) return;
  if (!node_->latched()) return;
  ++tally_.latches;
  for (std::size_t reactor = 0; reactor < node_->reactors(); ++reactor)
    node_->intake(reactor).reopen_journal();
}

bool World::clients_finish() {
  bool finished = keyed_client_.finish(*node_);
  for (ProducerClient& producer : producers_) finished = producer.finish(*node_) && finished;
  return finished;
}

// Long enough for every shard to look whether its connection is still there: only then a database that forgot
// commits while the node idled is found out.
bool World::drain() {
  call_faults_ = {};
  std::int64_t at_rest_ns = 0;
  for (std::uint64_t round = 0; round < drain_rounds_max && !trouble_; ++round) {
    // The power may go now that was to go with one of the next changes.
    if (!disk_.powered()) mend();
    if (node_ == nullptr && !start_node()) continue;
    if (node_->latched()) mend();
    (void)node_->journal().work();
    for (std::size_t reactor = 0; reactor < node_->reactors(); ++reactor) {
      node_->turn(reactor, post_);
      node_->perform(reactor);
    }
    tally_.segments_trimmed += node_->trim();
    for (std::size_t shard = 0; shard < node_->shards(); ++shard) (void)node_->shard(shard).step();
    clock_.advance(drain_round_ns);
    at_rest_ns = clients_finish() && node_->drained() ? at_rest_ns + drain_round_ns : 0;
    if (at_rest_ns > 3 * std::chrono::nanoseconds(idle_interval).count()) return true;
  }
  return false;
}

}  // namespace wellhead::simulation
