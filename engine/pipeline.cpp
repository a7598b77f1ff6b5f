#include "engine/pipeline.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "engine/commands.hpp"
#include "engine/cores.hpp"
#include "net/batching_intake.hpp"
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
constexpr std::uint32_t lanes_epoch = 1;

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

Pipeline::Pipeline(const LoadedConfig& loaded, const Clock& clock)
    : loaded_(loaded),
      config_(loaded.config),
      clock_(clock),
      threads_(thread_counts(loaded.config, usable_cores())),
      processors_(allowed_processors()),
      board_(lanes_epoch, threads_.reactors, threads_.shards, {}),
      receipt_digest_(static_cast<std::uint32_t>(clock.wall_us())),
      journal_id_(random_journal_id()),
      admin_handler_(*this, directory_of(loaded.config)) {}

Pipeline::~Pipeline() = default;

std::expected<std::unique_ptr<Pipeline>, std::string> Pipeline::create(const LoadedConfig& loaded,
                                                                       const Clock& clock) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline(loaded, clock));
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
    shards_.push_back(std::make_unique<Shard>(shard, config_.flush, make_committer(shard), returns, clock_,
                                              processor_for(threads_.reactors + shard), board_));
}

std::unique_ptr<Committer> Pipeline::make_committer(std::uint32_t shard) {
  if (config_.sink == "null") return std::make_unique<NullCommitter>();
  CommitterSetup setup;
  setup.shard = shard;
  setup.streams = loaded_.schemas;
  setup.owner.journal_id = journal_id_;
  return make_postgres_committer(postgres_options(config_), std::move(setup));
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
  // All reactors share the first one's ports, also where the system chose them.
  const std::vector<std::uint16_t>* shared = fronts_.empty() ? nullptr : &fronts_.front().reactor->ports();
  const auto add = [&](ListenerOptions listener) {
    if (shared != nullptr) listener.port = (*shared)[options.listeners.size()];
    options.listeners.push_back(std::move(listener));
  };
  if (config_.http.enabled) add(listener(Protocol::http, config_.http));
  if (config_.ndjson.enabled) {
    ListenerOptions ndjson = listener(Protocol::ndjson, config_.ndjson);
    ndjson.stream = config_.ndjson_stream;
    ndjson.acknowledge = config_.ndjson_acknowledge;
    add(std::move(ndjson));
  }

  std::vector<ShardPort> ports;
  ports.reserve(shards_.size());
  for (const auto& shard : shards_)
    ports.push_back({&shard->mailbox(), [shard = shard.get()] { return shard->state() == ShardState::ready; },
                     [shard = shard.get()] { return shard->problem(); }});
  BatchingOptions batching;
  batching.reactor_index = index;
  batching.batch_bytes = config_.batch_bytes;
  batching.batches_max = batches_per_reactor(config_);
  batching.decoder = config_.decoder;
  batching.receipt_digest = receipt_digest_;
  auto intake =
      std::make_unique<BatchingIntake>(batching, std::move(ports), *returns_[index], clock_, board_, nullptr);
  const IntakeStats* stats = &intake->stats();
  auto reactor = Reactor::create(std::move(options), std::move(intake), clock_);
  if (!reactor) return std::unexpected(reactor.error());
  fronts_.push_back({std::move(*reactor), stats});
  return {};
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
  if (admin_) {
    if (const Outcome started = admin_->start(); !started) return started;
  }
  for (const auto& shard : shards_) shard->start();
  for (const Front& front : fronts_) {
    if (const Outcome started = front.reactor->start(); !started) return started;
  }
  started_.store(true, std::memory_order_release);
  return {};
}

void Pipeline::stop(steady_clock::time_point deadline) {
  stopping_.store(true, std::memory_order_release);
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
  if (!admin_) return;
  admin_->request_stop(std::max(deadline, steady_clock::now()) + admin_stop_time);
  admin_->join();
}

void Pipeline::give_up() {
  std::int64_t queued = 0;
  for (const Front& front : fronts_) queued += front.intake->records_pending.value();
  if (queued > 0)
    log::warning(
        "The drain time is nearly over: records that are not committed yet are given up, and their clients "
        "are "
        "told. None of them was acknowledged.",
        {{"records", queued}});
  for (const auto& shard : shards_) shard->request_stop(steady_clock::now());
  for (const auto& shard : shards_) shard->join();
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
  for (const auto& shard : shards_)
    readings.push_back({shard->index(), shard->state(), shard->problem(), &shard->stats()});
  return readings;
}

std::optional<JournalReading> Pipeline::journal() const {
  return std::nullopt;
}

}  // namespace wellhead
