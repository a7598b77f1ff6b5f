#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <thread>

#include "engine/commands.hpp"
#include "engine/config_check.hpp"
#include "engine/dead_letter_print.hpp"
#include "engine/dead_letter_replay.hpp"
#include "engine/dead_letter_store.hpp"
#include "engine/exit_codes.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

// Deleting many rows takes its time.
constexpr std::chrono::hours purge_timeout{1};
// Longer than a node lets a request wait for its commit by default.
constexpr std::chrono::seconds reply_timeout{60};
constexpr std::uint64_t list_limit = 50;
constexpr std::uint64_t replay_limit = 100'000;

struct Arguments {
  ConfigFlags config;
  std::vector<std::string> ids;
  std::string stream, code, since, before, node;
  std::uint64_t limit = 0;
  bool json = false, raw = false, dry_run = false, all = false, replayed = false, yes = false;
  bool repaired = false;
};

int fail(std::string_view sentence) {
  std::cerr << sentence << '\n';
  return exit_failed;
}

int misuse(std::string_view sentence) {
  std::cerr << sentence << '\n';
  return exit_usage;
}

// The database of the configuration, connected for one command.
class Session {
 public:
  // 0, or the exit code after a sentence on standard error.
  [[nodiscard]] int open(const Arguments& arguments) {
    loaded_ = arguments.config.load();
    if (!loaded_) return exit_config;
    PostgresOptions options = postgres_options(loaded_->config);
    options.statement_timeout = std::max<std::chrono::milliseconds>(options.statement_timeout, purge_timeout);
    database_ = std::make_unique<PgDatabase>(std::move(options), "wellhead dead-letter");
    if (const auto connected = database_->connect(); !connected)
      return fail(
          "Nothing was done: the database cannot be reached. Set database.url, WELLHEAD_DATABASE_URL or the "
          "PG… variables. It said: " +
          connected.error().message);
    return exit_ok;
  }
  [[nodiscard]] DeadLetterStore store() { return DeadLetterStore(*database_); }
  [[nodiscard]] const Config& config() const { return loaded_->config; }

 private:
  std::optional<LoadedConfig> loaded_;
  std::unique_ptr<PgDatabase> database_;
};

// What is wrong with the arguments is a sentence.
std::expected<DeadLetterFilter, std::string> filter_of(const Arguments& arguments) {
  DeadLetterFilter filter;
  filter.stream = arguments.stream;
  filter.code = arguments.code;
  for (const std::string& text : arguments.ids) {
    auto id = DeadLetterId::parse(text);
    if (!id)
      return std::unexpected(fmt::format(
          "\"{}\" is not the id of a dead letter; `wellhead dead-letter list` shows them.", text));
    filter.ids.push_back(std::move(*id));
  }
  for (const auto& [option, text, moment] : {std::tuple{"--since", &arguments.since, &filter.since},
                                             std::tuple{"--before", &arguments.before, &filter.before}}) {
    if (text->empty()) continue;
    auto sql = moment_sql(*text);
    if (!sql) return std::unexpected(fmt::format("{}: {}.", option, sql.error()));
    *moment = std::move(*sql);
  }
  if (arguments.replayed) filter.replayed = true;
  return filter;
}

int list(const Arguments& arguments) {
  const auto filter = filter_of(arguments);
  if (!filter) return misuse(filter.error());
  Session session;
  if (const int code = session.open(arguments); code != exit_ok) return code;
  const auto entries = session.store().list(*filter, arguments.limit);
  if (!entries) return fail(entries.error());
  for (const DeadLetterEntry& entry : *entries)
    std::cout << (arguments.json ? print_json(entry) : print_line(entry));
  if (!arguments.json && entries->empty()) std::cerr << "There are no such dead letters.\n";
  if (entries->size() == arguments.limit)
    std::cerr << fmt::format("These are the newest {}; there may be more, see --limit.\n", arguments.limit);
  return exit_ok;
}

int show(const Arguments& arguments) {
  const auto filter = filter_of(arguments);
  if (!filter) return misuse(filter.error());
  Session session;
  if (const int code = session.open(arguments); code != exit_ok) return code;
  const auto entry = session.store().find(filter->ids.front());
  if (!entry) return fail(entry.error());
  if (!*entry) return fail("There is no dead letter of this id; it may have been purged.");
  std::cout << (arguments.raw ? (*entry)->payload : print_letter(**entry));
  return exit_ok;
}

std::expected<Endpoint, std::string> node_of(const Arguments& arguments, const Config& config) {
  if (arguments.node.empty()) {
    if (config.http.enabled && config.http.port != 0) return config.http;
    return std::unexpected(std::string(
        "http.listen names no port that a replay could go to: give the node's HTTP address with --node."));
  }
  auto endpoint = parse_endpoint(arguments.node);
  if (!endpoint || !endpoint->enabled)
    return std::unexpected(fmt::format("--node: {} is no address such as 127.0.0.1:8080.", arguments.node));
  return *endpoint;
}

int replay_to(const Endpoint& node, DeadLetterStore& store, const std::vector<DeadLetterId>& ids,
              bool repaired) {
  NodeClient client(node, reply_timeout);
  DeadLetterReplay replay(
      store,
      [&](const DeadLetterEntry& entry) {
        return client.ingest(replay_target(entry), replay_headers(entry), entry.payload);
      },
      [](std::string_view sentence) { std::cerr << sentence << '\n'; },
      [](std::uint32_t seconds) { std::this_thread::sleep_for(std::chrono::seconds(seconds)); }, repaired);
  const auto done = replay.run(ids);
  const ReplayCounts& counts = replay.counts();
  std::cout << fmt::format("{} of {} replayed, {} refused again, {} not replayable\n", counts.accepted,
                           ids.size(), counts.refused, counts.unsendable);
  if (!done) return fail(done.error());
  return counts.accepted == ids.size() ? exit_ok : exit_failed;
}

int replay(const Arguments& arguments) {
  auto filter = filter_of(arguments);
  if (!filter) return misuse(filter.error());
  const bool chosen = arguments.all || !filter->ids.empty() || !filter->stream.empty() ||
                      !filter->code.empty() || !filter->since.empty();
  if (!chosen)
    return misuse(
        "Say which dead letters to replay: --id, --stream, --code, --since, or --all for every one.");
  Session session;
  if (const int code = session.open(arguments); code != exit_ok) return code;
  const auto node = node_of(arguments, session.config());
  if (!node) return misuse(node.error());
  DeadLetterStore store = session.store();
  // Ids that were given are answered one by one, also those that were replayed before.
  const bool named = !filter->ids.empty();
  if (!named || arguments.dry_run) {
    filter->replayed = false;
    filter->stored_too = arguments.repaired;
  }
  if (arguments.dry_run) {
    const auto entries = store.list(*filter, arguments.limit);
    if (!entries) return fail(entries.error());
    for (const DeadLetterEntry& entry : *entries) std::cout << print_line(entry);
    std::cout << fmt::format("{} would be sent to {}; nothing was done\n", entries->size(),
                             format_endpoint(*node));
    return exit_ok;
  }
  const auto ids = named ? std::expected<std::vector<DeadLetterId>, std::string>(filter->ids)
                         : store.ids(*filter, arguments.limit);
  if (!ids) return fail(ids.error());
  return replay_to(*node, store, *ids, arguments.repaired);
}

int purge(const Arguments& arguments) {
  const auto filter = filter_of(arguments);
  if (!filter) return misuse(filter.error());
  if (filter->before.empty() && !filter->replayed)
    return misuse("Say which dead letters to delete: --before TIME, --replayed, or both.");
  Session session;
  if (const int code = session.open(arguments); code != exit_ok) return code;
  DeadLetterStore store = session.store();
  if (!arguments.yes) {
    const auto count = store.count(*filter);
    if (!count) return fail(count.error());
    std::cout << fmt::format(
        "{} dead letters would be deleted for good; nothing was done. Add --yes to delete.\n", *count);
    return exit_ok;
  }
  const auto removed = store.remove(*filter);
  if (!removed) return fail(removed.error());
  std::cout << fmt::format("{} dead letters deleted\n", *removed);
  return exit_ok;
}

void add_filters(CLI::App& action, Arguments& arguments) {
  action.add_option("--stream", arguments.stream, "Only of this stream. Default: every one")
      ->type_name("STREAM");
  action
      .add_option("--code", arguments.code, "Only with this error code, e.g. wrong_type. Default: every one")
      ->type_name("CODE");
  action
      .add_option("--since", arguments.since,
                  "Only received since then: an age (90m, 7d) or a time. Default: all")
      ->type_name("TIME");
}

using Run = int (*)(const Arguments&);
struct Action {
  CLI::App* app;
  std::shared_ptr<Arguments> arguments;
};

Action add_action(CLI::App& command, const CommandChosen& chosen, const char* name, const char* help,
                  Run run) {
  CLI::App* action = command.add_subcommand(name, help);
  const auto arguments = std::make_shared<Arguments>();
  arguments->config.add_to(*action, false);
  action->callback([=] { chosen([=] { return run(*arguments); }); });
  return {action, arguments};
}

void add_list(CLI::App& command, const CommandChosen& chosen) {
  const auto [action, arguments] =
      add_action(command, chosen, "list", "Lists dead letters, the newest first, without their bytes", list);
  add_filters(*action, *arguments);
  arguments->limit = list_limit;
  action->add_option("--limit", arguments->limit, "At most so many")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  action->add_flag("--json", arguments->json, "One JSON object a line");
}

void add_show(CLI::App& command, const CommandChosen& chosen) {
  const auto [action, arguments] =
      add_action(command, chosen, "show", "Shows one dead letter with the record's bytes", show);
  action->add_option("id", arguments->ids, "Its id, as `list` shows it")
      ->required()
      ->expected(1)
      ->type_name("ID");
  action->add_flag("--raw", arguments->raw, "Only the record's bytes, exactly as they are");
}

void add_replay(CLI::App& command, const CommandChosen& chosen) {
  const auto [action, arguments] =
      add_action(command, chosen, "replay",
                 "Sends records to the running node again and marks those it takes; safe to repeat", replay);
  action->add_option("--id", arguments->ids, "These, by their ids")->type_name("ID");
  add_filters(*action, *arguments);
  action->add_flag("--all", arguments->all, "Every one that was not replayed yet");
  action->add_flag(
      "--repaired", arguments->repaired,
      "Also records that are stored with NULL for what was out of range; each makes a second row");
  arguments->limit = replay_limit;
  action->add_option("--limit", arguments->limit, "At most so many, the oldest first")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  action
      ->add_option("--node", arguments->node,
                   "The node's HTTP address. Default: http.listen of the configuration")
      ->type_name("ADDRESS:PORT");
  action->add_flag("--dry-run", arguments->dry_run, "Only lists what would be sent");
}

void add_purge(CLI::App& command, const CommandChosen& chosen) {
  const auto [action, arguments] = add_action(
      command, chosen, "purge", "Deletes dead letters for good; without --yes only says how many", purge);
  action
      ->add_option("--before", arguments->before,
                   "Received before: an age (90m, 7d) or a time. Default: any time")
      ->type_name("TIME");
  action->add_flag("--replayed", arguments->replayed, "Only those that a replay has put where they belong");
  action->add_flag("--yes", arguments->yes, "Deletes");
}

}  // namespace

void add_dead_letter_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand(
      "dead-letter",
      "Lists, shows, replays and deletes records that did not become rows, or not as they were");
  command->require_subcommand(1);
  add_list(*command, chosen);
  add_show(*command, chosen);
  add_replay(*command, chosen);
  add_purge(*command, chosen);
}

}  // namespace wellhead
