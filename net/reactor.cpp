#include "net/reactor.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <future>
#include <thread>
#include <utility>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "net/listener.hpp"
#include "net/reactor_loop.hpp"

namespace wellhead {
namespace {

// The kernel's bound for a ring of provided buffers.
constexpr std::uint32_t receive_buffers_max = 32'768;

std::expected<void, std::string> check_streams(const ReactorOptions& options, const Intake* intake) {
  for (const ListenerOptions& listener : options.listeners) {
    if (listener.protocol == Protocol::admin) {
      WELLHEAD_ASSERT(options.admin_handler != nullptr);
      continue;
    }
    WELLHEAD_ASSERT(intake != nullptr);
    if (listener.protocol != Protocol::ndjson) continue;
    const bool known = std::ranges::any_of(
        options.streams, [&](const SchemaPointer& stream) { return stream->name() == listener.stream; });
    if (!known)
      return std::unexpected("The NDJSON listener on port " + std::to_string(listener.port) +
                             " is for the stream \"" + listener.stream +
                             "\", which is not configured; name a configured stream.");
  }
  return {};
}

std::expected<void, std::string> check_limits(const NetLimits& limits) {
  if (!std::has_single_bit(limits.receive_buffers) || limits.receive_buffers > receive_buffers_max)
    return std::unexpected("receive_buffers must be a power of two up to 32768, not " +
                           std::to_string(limits.receive_buffers) + ".");
  return {};
}

void pin_to(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0)
    log::warning("A reactor could not be pinned to its CPU; it runs wherever the system puts it.",
                 {{"cpu", cpu}});
}

}  // namespace

class Reactor::Implementation {
 public:
  Implementation(ReactorOptions options, std::unique_ptr<Intake> intake, const Clock& clock,
                 std::vector<Listener> listeners)
      : options_(std::move(options)),
        intake_(std::move(intake)),
        clock_(clock),
        listeners_(std::move(listeners)),
        command_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    WELLHEAD_ASSERT(command_fd_);
    for (const Listener& listener : listeners_) ports_.push_back(listener.port);
  }

  ~Implementation() {
    request_stop(std::chrono::steady_clock::now());
    join();
  }

  std::expected<void, std::string> start() {
    WELLHEAD_ASSERT(!thread_.joinable());
    std::promise<std::expected<void, std::string>> ready;
    auto result = ready.get_future();
    thread_ = std::thread([this, promise = std::move(ready)]() mutable { run(promise); });
    return result.get();
  }

  void request_stop(std::chrono::steady_clock::time_point deadline) {
    commands_.stop_deadline_ns.store(std::chrono::nanoseconds(deadline.time_since_epoch()).count());
    commands_.stop.store(true);
    wake();
  }

  void request_journal_reopen() {
    commands_.journal_reopen.store(true);
    wake();
  }

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] const std::vector<std::uint16_t>& ports() const noexcept { return ports_; }
  [[nodiscard]] const ReactorStats& stats() const noexcept { return stats_; }

 private:
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(command_fd_.get(), &one, sizeof one);
  }

  // The reactor's thread, from its ring to the last connection.
  void run(std::promise<std::expected<void, std::string>>& ready) {
    pthread_setname_np(pthread_self(), ("reactor-" + std::to_string(options_.index)).substr(0, 15).c_str());
    if (options_.cpu >= 0) pin_to(options_.cpu);
    auto loop = ReactorLoop::create({.options = options_,
                                     .intake = intake_.get(),
                                     .clock = clock_,
                                     .listeners = listeners_,
                                     .stats = stats_,
                                     .commands = commands_,
                                     .command_fd = command_fd_.get()});
    if (!loop) {
      ready.set_value(std::unexpected(loop.error()));
      return;
    }
    ready.set_value({});
    (*loop)->run();
  }

  ReactorOptions options_;
  std::unique_ptr<Intake> intake_;
  const Clock& clock_;
  std::vector<Listener> listeners_;
  std::vector<std::uint16_t> ports_;
  ReactorStats stats_;
  ReactorCommands commands_;
  UniqueFd command_fd_;
  std::thread thread_;
};

std::expected<std::unique_ptr<Reactor>, std::string> Reactor::create(ReactorOptions options,
                                                                     std::unique_ptr<Intake> intake,
                                                                     const Clock& clock) {
  if (auto checked = check_limits(options.limits); !checked) return std::unexpected(checked.error());
  if (auto checked = check_streams(options, intake.get()); !checked) return std::unexpected(checked.error());
  std::vector<Listener> listeners;
  for (const ListenerOptions& wanted : options.listeners) {
    auto listener = open_listener(wanted, options.index == 0);
    if (!listener) return std::unexpected(listener.error());
    listeners.push_back(std::move(*listener));
  }
  return std::unique_ptr<Reactor>(new Reactor(
      std::make_unique<Implementation>(std::move(options), std::move(intake), clock, std::move(listeners))));
}

Reactor::Reactor(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
Reactor::~Reactor() = default;
std::expected<void, std::string> Reactor::start() {
  return implementation_->start();
}
void Reactor::request_stop(std::chrono::steady_clock::time_point deadline) {
  implementation_->request_stop(deadline);
}
void Reactor::request_journal_reopen() {
  implementation_->request_journal_reopen();
}
void Reactor::join() {
  implementation_->join();
}
const std::vector<std::uint16_t>& Reactor::ports() const noexcept {
  return implementation_->ports();
}
const ReactorStats& Reactor::stats() const noexcept {
  return implementation_->stats();
}

}  // namespace wellhead
