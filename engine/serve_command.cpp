// `wellhead serve`: starts the node, then waits for signals.
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <csignal>
#include <iostream>
#include <thread>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "engine/commands.hpp"
#include "engine/config_keys.hpp"
#include "engine/cores.hpp"
#include "engine/exit_codes.hpp"
#include "engine/node_journal.hpp"
#include "engine/pipeline.hpp"
#include "engine/process_limits.hpp"
#include "engine/record_account.hpp"
#include "engine/reload.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Past the drain time a thread may still be in a system call; past this as well, it is stuck.
constexpr milliseconds stuck_after{10'000};

log::Level level_from(std::string_view name) {
  if (name == "debug") return log::Level::debug;
  if (name == "warning") return log::Level::warning;
  if (name == "error") return log::Level::error;
  if (name == "off") return log::Level::off;
  return log::Level::info;
}

// TERM, INT and HUP as a descriptor. Made before any thread, so that every thread has them blocked.
UniqueFd block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC));
}

int read_signal(const UniqueFd& signals) {
  signalfd_siginfo info{};
  return read(signals.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

// What binds from here on; 0 where it is not known.
std::uint64_t raised_limit(__rlimit_resource resource, std::string_view name) {
  const auto raised = raise_limit(resource);
  if (!raised)
    log::warning("A limit of the process could not be raised", {{"limit", name}, {"error", raised.error()}});
  else if (raised->before != raised->now)
    log::info("A limit of the process was raised to its hard one",
              {{"limit", name}, {"before", raised->before}, {"now", raised->now}});
  return raised ? raised->now : 0;
}

void raise_limits(const Config& config, const ThreadCounts& threads) {
  const std::uint64_t files = raised_limit(RLIMIT_NOFILE, "open files");
  const std::uint64_t files_wanted = descriptors_wanted(config, threads);
  if (files != 0 && files < files_wanted)
    log::warning(
        "The limit of open files is below what limits.connections_max may need: connections past it will be "
        "refused. Raise the hard limit (ulimit -Hn, LimitNOFILE=) or lower limits.connections_max.",
        {{"limit", files}, {"wanted", files_wanted}});
  // Whether the kernel counts the rings there depends on its version; where it does and they do not fit, the
  // start fails and says so.
  static_cast<void>(raised_limit(RLIMIT_MEMLOCK, "locked memory"));
}

class Server {
 public:
  Server(LoadedConfig loaded, AttributesTables attributes, ConfigFlags flags, UniqueFd signals,
         steady_clock::time_point born)
      : loaded_(std::move(loaded)),
        file_attributes_(std::move(attributes)),
        flags_(std::move(flags)),
        signals_(std::move(signals)),
        born_(born) {}

  int run() {
    log::set_level(level_from(loaded_.config.log_level));
    for (const std::string& warning : loaded_.warnings) log::warning(warning);
    const ThreadCounts threads = thread_counts(loaded_.config, usable_cores());
    if (loaded_.config.journal.enabled) {
      auto journal = NodeJournal::open(loaded_.config, loaded_.schemas, threads, clock_);
      if (!journal) return fail(journal.error().sentence, journal.error().exit_code);
      journal_ = std::move(*journal);
    }
    prepare_reloads();
    auto pipeline = Pipeline::create(loaded_, threads, journal_.get(), clock_);
    if (!pipeline) return fail(pipeline.error());
    pipeline_ = std::move(*pipeline);
    pipeline_->show(reloader_->stats(), *attributes_);
    raise_limits(loaded_.config, pipeline_->threads());
    if (const auto started = pipeline_->start(); !started) {
      // Threads that did start must end before what they use does.
      pipeline_->stop(steady_clock::now());
      return fail(started.error());
    }
    log_start();
    attributes_->start();
    wait_for_stop();
    return drain();
  }

 private:
  static int fail(const std::string& sentence, int exit_code = exit_failed) {
    log::error(sentence);
    return exit_code;
  }

  // Attributes are in force before the first record.
  void prepare_reloads() {
    if (loaded_.config.journal.enabled) {
      auto files = PosixFileSystem::open(loaded_.config.journal.directory);
      if (files) attribute_files_ = std::move(*files);
    }
    attributes_ = std::make_unique<AttributeKeeper>(
        [options = postgres_options(loaded_.config)] {
          return std::make_unique<PgDatabase>(options, "wellhead/attributes");
        },
        attribute_files_.get());
    attributes_->adopt(adoptions(loaded_, loaded_, file_attributes_));
    file_attributes_.clear();
    reloader_ = std::make_unique<Reloader>(loaded_, *attributes_);
  }

  void log_start() const {
    const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - born_);
    const Pipeline::Addresses& addresses = pipeline_->addresses();
    log::info("wellhead is live", {{"version", version_text()},
                                   {"node", loaded_.config.node_id},
                                   {"http", addresses.http},
                                   {"ndjson", addresses.ndjson},
                                   {"admin", addresses.admin},
                                   {"reactors", pipeline_->threads().reactors},
                                   {"shards", pipeline_->threads().shards},
                                   {"sink", loaded_.config.sink},
                                   {"journal", journal_ ? loaded_.config.journal.directory : "off"},
                                   {"start_ms", took.count()}});
    if (loaded_.config.sink == "null")
      log::warning(
          "sink.kind is \"null\": records are counted, acknowledged and thrown away. For measuring only.");
  }

  void wait_for_stop() {
    for (;;) {
      const int signal = read_signal(signals_);
      if (signal == SIGTERM || signal == SIGINT) return;
      if (signal != SIGHUP) continue;
      pipeline_->reopen_journal();
      reload();
    }
  }

  // The level changes with any configuration that is right; for the rest see Reloader.
  void reload() {
    auto fresh = load_config(flags_.sources());
    if (fresh) log::set_level(level_from(fresh->config.log_level));
    reloader_->reload(std::move(fresh));
  }

  int drain() {
    const milliseconds drain_time = loaded_.config.drain_timeout;
    log::info(
        "Stopping: nothing new is taken, what was taken is answered and as far as possible committed. A "
        "second TERM "
        "stops at once.",
        {{"drain_ms_max", drain_time.count()}});
    const UniqueFd done(eventfd(0, EFD_CLOEXEC));
    std::jthread stopper([&] {
      pipeline_->stop(steady_clock::now() + drain_time);
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t wrote = write(done.get(), &one, sizeof one);
    });
    wait_for_drain(done, steady_clock::now() + drain_time + stuck_after);
    stopper.join();
    log_stop();
    return exit_ok;
  }

  void wait_for_drain(const UniqueFd& done, steady_clock::time_point limit) {
    for (;;) {
      std::array<pollfd, 2> watched{{{done.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}}};
      const auto left = std::chrono::ceil<milliseconds>(limit - steady_clock::now());
      if (left <= milliseconds::zero()) {
        log::error(
            "The node did not stop in its drain time: a thread is stuck. Exiting without it; nothing that "
            "was "
            "acknowledged is lost.");
        _exit(exit_failed);
      }
      if (poll(watched.data(), watched.size(), static_cast<int>(left.count())) <= 0) continue;
      if (watched[0].revents != 0) return;
      const int signal = read_signal(signals_);
      if (signal != SIGTERM && signal != SIGINT) continue;
      log::warning(
          "Stopped at once by a second signal: records taken and not acknowledged yet are given up; what the "
          "journal "
          "holds is committed after the next start.");
      _exit(exit_second_term);
    }
  }

  void log_stop() const {
    const RecordAccount account = read_account(*pipeline_);
    log::info("Stopped", {{"received", account.received},
                          {"recovered", account.recovered},
                          {"committed", account.committed},
                          {"rejected", account.rejected_count()},
                          {"abandoned", account.abandoned},
                          {"queued", account.queued}});
  }

  LoadedConfig loaded_;
  AttributesTables file_attributes_;  // until they are in force
  ConfigFlags flags_;
  UniqueFd signals_;
  steady_clock::time_point born_;
  SystemClock clock_;
  std::unique_ptr<NodeJournal> journal_;  // null: without one
  // Where attributes are saved; null: nowhere.
  std::unique_ptr<PosixFileSystem> attribute_files_;
  std::unique_ptr<AttributeKeeper> attributes_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<Pipeline> pipeline_;
};

int serve(const ConfigFlags& flags) {
  const steady_clock::time_point born = steady_clock::now();
  std::optional<LoadedConfig> loaded = flags.load();
  if (!loaded) return exit_config;
  auto attributes = read_attributes_files(*loaded);
  if (!attributes) {
    for (const std::string& mistake : attributes.error()) std::cerr << mistake << '\n';
    return exit_config;
  }
  return Server(std::move(*loaded), std::move(*attributes), flags, block_signals(), born).run();
}

}  // namespace

void add_serve_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand("serve", "Runs the node");
  const auto flags = std::make_shared<ConfigFlags>();
  flags->add_to(*command, true);
  command->footer(
      "TERM or INT: takes nothing new, commits and answers what was taken, exits 0 within "
      "server.drain_timeout.\n"
      "A second one exits at once with 143. HUP reads the configuration again and puts log.level, the rules "
      "of\n"
      "streams and the attributes of devices into force where nothing else changed, and lets a journal that "
      "failed\ntake records again.\n"
      "The database is given by database.url or database.url_file in the file, WELLHEAD_DATABASE_URL, "
      "DATABASE_URL or "
      "the PG… variables; secrets are never flags.");
  command->callback([=] { chosen([=] { return serve(*flags); }); });
}

}  // namespace wellhead
