#include "engine/pipeline.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "codec/scored_columns.hpp"
#include "engine/commands.hpp"
#include "engine/cores.hpp"
#include "engine/dead_letter_setup.hpp"
#include "net/receipt.hpp"
#include "sink/null_committer.hpp"
#include "sink/postgres_committer.hpp"

namespace wellhead {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The end of the drain time is kept for telling clients that their records were not committed.
constexpr milliseconds answer_time_max{1'000};
// The admin port has nothing to wait for but replies on their way.
constexpr milliseconds admin_stop_time{500};
// An admin port serves a few scrapers and probes.
constexpr std::uint32_t admin_connections_max = 64;
constexpr std::uint32_t admin_receive_buffer_bytes = 4U << 10;
constexpr std::uint32_t admin_receive_buffers = 64;
// Without a journal each process is a first run.
constexpr std::uint32_t epoch_without_journal = 1;

ListenerOptions listener(Protocol protocol, const Endpoint& endpoint) {
  ListenerOptions options;
  options.protocol = protocol;
  options.address = endpoint.address;
  options.port = endpoint.port;
  return options;
}

NetLimits admin_limits(const NetLimits& limits) {
  NetLimits admin = limits;
  admin.connections_max = admin_connections_max;
  admin.receive_buffer_bytes = admin_receive_buffer_bytes;
  admin.receive_buffers = admin_receive_buffers;
  return admin;
}

AckLevel ack_level(const Config& config, std::string_view ack) {
  return acknowledges_from_journal(config, ack) ? AckLevel::journal : AckLevel::commit;
}

AdminDirectory directory_of(const Config& config) {
  AdminDirectory directory{version_text(), config.node_id, "", "", {}};
  for (const StreamConfig& stream : config.streams) directory.streams.push_back(stream.name);
  return directory;
}

// Runs `work` on a thread of its own; wait_until() says whether it is done.
class Background {
 public:
  explicit Background(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          work();
          const std::lock_guard lock(mutex_);
          done_ = true;
          changed_.notify_all();
        }) {}
  [[nodiscard]] bool wait_until(steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [this] { return done_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::jthread thread_;  // last: it uses the members above, and is joined before they go
};

}  // namespace

Pipeline::Pipeline(const LoadedConfig& loaded, const ThreadCounts& threads, NodeJournal* journal,
                   const Clock& clock)
    : loaded_(loaded),
      config_(loaded.config),
      journal_(journal),
      clock_(clock),
      threads_(threads),
      owner_(journal != nullptr
                 ? LaneOwner{journal->journal().id_text(), receipt_digest(journal->journal().id())}
                 : LaneOwner{random_journal_id(), static_cast<std::uint32_t>(clock.wall_us())}),
      lanes_(journal != nullptr
                 ? std::make_unique<LaneBoard>(journal->journal().epoch(), threads.reactors, threads.shards,
                                               journal->journal().survey().lanes)
                 : std::make_unique<LaneBoard>(epoch_without_journal, threads.reactors, threads.shards,
                                               std::span<const OldLane>{})),
      receipts_(owner_.receipt_digest, *lanes_, refused_),
      processors_(allowed_processors()),
      admin_handler_(*this, directory_of(loaded.config)) {}

Pipeline::~Pipeline() = default;

std::expected<std::unique_ptr<Pipeline>, std::string> Pipeline::create(const LoadedConfig& loaded,
                                                                       const ThreadCounts& threads,
                                                                       NodeJournal* journal,
                                                                       const Clock& clock) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline(loaded, threads, journal, clock));
  pipeline->create_shards();
  if (const Outcome created = pipeline->create_reactors(); !created) return std::unexpected(created.error());
  if (const Outcome created = pipeline->create_admin(); !created) return std::unexpected(created.error());
  return pipeline;
}

void Pipeline::create_shards() {
  std::vector<Mailbox*> returns;
  returns.reserve(threads_.reactors);
  for (std::uint32_t reactor = 0; reactor < threads_.reactors; ++reactor)
    returns.push_back(returns_.emplace_back(std::make_unique<Mailbox>()).get());
  for (std::uint32_t shard = 0; shard < threads_.shards; ++shard)
    shards_.push_back(std::make_unique<Shard>(shard, flush_options(config_), make_committer(shard), returns,
                                              clock_, processor_for(threads_.reactors + shard), *lanes_,
                                              journal_ != nullptr ? &journal_->journal() : nullptr,
                                              journal_ != nullptr ? journal_->streams().maps : StreamMaps{},
                                              &refused_));
  if (config_.sink == "postgres" && config_.maintenance)
    maintenance_ = std::make_unique<MaintenanceThread>(postgres_options(config_), true);
}

std::unique_ptr<Committer> Pipeline::make_committer(std::uint32_t shard) {
  if (config_.sink == "null") return std::make_unique<NullCommitter>();
  CommitterSetup setup;
  setup.shard = shard;
  setup.streams = streams();
  setup.streams_in_use = loaded_.schemas.size();
  setup.owner.journal_id = owner_.journal_id;
  setup.owner.epoch_oldest = journal_ != nullptr ? journal_->epoch_oldest() : epoch_without_journal;
  if (config_.dead_letter.per_request_max > 0) setup.dead_letter = dead_letter_table(loaded_, clock_);
  if (config_.scoring.enabled) setup.scorer = make_scorer(shard);
  setup.direct_compress = direct_compress_options(config_);
  return make_postgres_committer(postgres_options(config_), std::move(setup));
}

const std::vector<SchemaPointer>& Pipeline::streams() const {
  return journal_ != nullptr ? journal_->streams().schemas : loaded_.schemas;
}

// REQUIRES a call for each shard in turn.
std::unique_ptr<Scorer> Pipeline::make_scorer(std::uint32_t shard) {
  WELLHEAD_ASSERT(shard == scores_.size());
  ScorerLimits limits;
  limits.devices_max = (config_.scoring.devices_max + threads_.shards - 1) / threads_.shards;
  return std::make_unique<Scorer>(streams(), limits, scores_.emplace_back(streams().size()));
}

int Pipeline::processor_for(std::uint32_t thread) const {
  if (!config_.pin_threads || processors_.empty()) return -1;
  return processors_[thread % processors_.size()];
}

Pipeline::Outcome Pipeline::create_reactors() {
  for (std::uint32_t index = 0; index < threads_.reactors; ++index) {
    if (const Outcome created = create_reactor(index); !created) return created;
  }
  return {};
}

Pipeline::Outcome Pipeline::create_reactor(std::uint32_t index) {
  ReactorOptions options;
  options.index = index;
  options.limits = config_.net;
  options.streams = loaded_.schemas;
  options.cpu = processor_for(index);
  options.listeners = listeners();
  options.receipts = &receipts_;
  auto intake = std::make_unique<BatchingIntake>(
      batching_options(index), shard_ports(), *returns_[index], clock_, *lanes_,
      journal_ != nullptr ? &journal_->journal().writer(index) : nullptr,
      journal_ != nullptr ? &journal_->ledger() : nullptr);
  const IntakeStats* stats = &intake->stats();
  auto reactor = Reactor::create(std::move(options), std::move(intake), clock_);
  if (!reactor) return std::unexpected(reactor.error());
  fronts_.push_back({std::move(*reactor), stats});
  return {};
}

std::vector<ListenerOptions> Pipeline::listeners() const {
  std::vector<ListenerOptions> listeners;
  // All reactors share the first one's ports, also where the system chose them.
  const auto add = [&](ListenerOptions listener) {
    if (!fronts_.empty()) listener.port = fronts_.front().reactor->ports()[listeners.size()];
    listeners.push_back(std::move(listener));
  };
  if (config_.http.enabled) {
    ListenerOptions http = listener(Protocol::http, config_.http);
    http.ack = ack_level(config_, config_.http_ack);
    add(std::move(http));
  }
  if (config_.ndjson.enabled) {
    ListenerOptions ndjson = listener(Protocol::ndjson, config_.ndjson);
    ndjson.stream = config_.ndjson_stream;
    ndjson.acknowledge = config_.ndjson_acknowledge;
    ndjson.ack = ack_level(config_, config_.ndjson_ack);
    add(std::move(ndjson));
  }
  return listeners;
}

BatchingOptions Pipeline::batching_options(std::uint32_t reactor) const {
  BatchingOptions options;
  options.reactor_index = reactor;
  options.batch_bytes = config_.batch_bytes;
  options.batches_max = batches_per_reactor(config_);
  options.block_bytes_max = config_.journal.limits.block_bytes_max;
  options.receipt_digest = owner_.receipt_digest;
  options.decoder = config_.decoder;
  options.dead_letter = dead_letter_options(loaded_);
  options.streams = loaded_.schemas.size();
  return options;
}

std::vector<ShardPort> Pipeline::shard_ports() const {
  std::vector<ShardPort> ports;
  ports.reserve(shards_.size());
  for (const auto& shard : shards_)
    ports.push_back({&shard->mailbox(), [shard = shard.get()] { return shard->state() == ShardState::ready; },
                     [shard = shard.get()] { return shard->problem(); }});
  return ports;
}

Pipeline::Outcome Pipeline::create_admin() {
  const std::vector<std::uint16_t>& ports = fronts_.front().reactor->ports();
  const auto bound = [](const Endpoint& endpoint, std::uint16_t port) {
    return format_endpoint({endpoint.address, port, endpoint.enabled});
  };
  addresses_.http = bound(config_.http, config_.http.enabled ? ports.front() : std::uint16_t{0});
  addresses_.ndjson = bound(config_.ndjson, config_.ndjson.enabled ? ports.back() : std::uint16_t{0});
  addresses_.admin = "off";
  admin_handler_.set_addresses(addresses_.http, addresses_.ndjson);
  if (!config_.admin.enabled) return {};

  ReactorOptions options;
  options.index = threads_.reactors;
  options.limits = admin_limits(config_.net);
  options.admin_handler = &admin_handler_;
  options.listeners.push_back(listener(Protocol::admin, config_.admin));
  auto admin = Reactor::create(std::move(options), nullptr, clock_);
  if (!admin) return std::unexpected(admin.error());
  admin_ = std::move(*admin);
  addresses_.admin = bound(config_.admin, admin_->ports().front());
  return {};
}

std::expected<void, std::string> Pipeline::start() {
  // Before the admin port's thread, which reads of it.
  if (journal_ != nullptr) journal_->start(*lanes_);
  if (admin_) {
    if (const Outcome started = admin_->start(); !started) return started;
  }
  for (const auto& shard : shards_) shard->start();
  for (const Front& front : fronts_) {
    if (const Outcome started = front.reactor->start(); !started) return started;
  }
  if (maintenance_) maintenance_->start();
  started_.store(true, std::memory_order_release);
  return {};
}

void Pipeline::stop(steady_clock::time_point deadline) {
  stopping_.store(true, std::memory_order_release);
  // First, so that no lock of its is in the way of the last commits.
  if (maintenance_) maintenance_->stop();
  const auto answer_time =
      std::min<steady_clock::duration>(answer_time_max, (deadline - steady_clock::now()) / 4);
  for (const Front& front : fronts_) front.reactor->request_stop(deadline);
  {
    Background reactors([this] {
      for (const Front& front : fronts_) front.reactor->join();
    });
    // Shards that cannot commit in time give their batches back while there is still time to tell the
    // clients. The reactors have long stopped sending by then.
    if (!reactors.wait_until(deadline - answer_time)) give_up();
  }
  for (const auto& shard : shards_) shard->request_stop(deadline);
  for (const auto& shard : shards_) shard->join();
  if (journal_ != nullptr) journal_->stop();
  if (!admin_) return;
  admin_->request_stop(std::max(deadline, steady_clock::now()) + admin_stop_time);
  admin_->join();
}

void Pipeline::give_up() {
  std::int64_t waiting = 0;
  for (const Front& front : fronts_) waiting += front.intake->records_pending.value();
  if (waiting > 0)
    log::warning(
        journal_ != nullptr
            ? "The drain time is nearly over: clients that wait for the commit of their records are told "
              "that it has not come. What the journal holds is committed after the next start."
            : "The drain time is nearly over: records that are not committed yet are given up, and their "
              "clients are told. None of them was acknowledged.",
        {{"records", waiting}});
  for (const auto& shard : shards_) shard->request_stop(steady_clock::now());
  for (const auto& shard : shards_) shard->join();
}

void Pipeline::reopen_journal() {
  if (journal_ == nullptr) return;
  for (const Front& front : fronts_) front.reactor->request_journal_reopen();
}

std::vector<ReactorReading> Pipeline::reactors() const {
  std::vector<ReactorReading> readings;
  readings.reserve(fronts_.size() + 1);
  for (std::size_t index = 0; index < fronts_.size(); ++index)
    readings.push_back({std::to_string(index), &fronts_[index].reactor->stats(), fronts_[index].intake});
  if (admin_) readings.push_back({"admin", &admin_->stats(), nullptr});
  return readings;
}

std::vector<ShardReading> Pipeline::shards() const {
  std::vector<ShardReading> readings;
  readings.reserve(shards_.size());
  for (const auto& shard : shards_) {
    readings.push_back({shard->index(), shard->state(), shard->problem(), &shard->stats(), 0, 0});
    measure_lag(readings.back());
  }
  return readings;
}

void Pipeline::measure_lag(ShardReading& reading) const {
  const auto add = [&](const LaneState& lane, std::uint64_t already_committed) {
    // In the order in which they follow one another, so that none can have overtaken the next.
    const std::uint64_t flushed = std::max(lane.flushed.load(std::memory_order_acquire), already_committed);
    const std::uint64_t committed = std::max(lane.committed.load(std::memory_order_acquire), flushed);
    const std::uint64_t durable = std::max(lane.durable.load(std::memory_order_acquire), committed);
    reading.lag_batches += durable - committed;
    reading.unflushed_batches += committed - flushed;
  };
  for (std::uint32_t reactor = 0; reactor < threads_.reactors; ++reactor)
    add(lanes_->at(reactor, reading.index), 0);
  for (const OldLane& old : lanes_->old()) {
    if (lanes_->shard_of(old.lane) == reading.index) add(*lanes_->find(old.lane), old.first - 1);
  }
}

std::vector<std::string> Pipeline::stream_names() const {
  std::vector<std::string> names;
  for (const SchemaPointer& stream : loaded_.schemas) names.push_back(stream->name());
  return names;
}

std::vector<QualityReading> Pipeline::quality() const {
  std::vector<QualityReading> readings;
  if (scores_.empty()) return readings;
  for (const SchemaPointer& stream : loaded_.schemas) {
    if (!computed_places(*stream).any()) continue;
    readings.push_back({stream->name(), {}});
    for (const auto& shard : scores_) readings.back().scores.push_back(&shard[stream->index()]);
  }
  return readings;
}

std::optional<JournalReading> Pipeline::journal() const {
  if (journal_ == nullptr) return std::nullopt;
  return journal_->read();
}

}  // namespace wellhead
