#include <fmt/format.h>

#include <algorithm>

#include "engine/database_report_print.hpp"
#include "engine/doctor_database.hpp"

namespace wellhead {
namespace {

using enum FindingLevel;

constexpr double gibibyte = 1024.0 * 1024 * 1024;
constexpr double checkpoint_seconds_good = 600;
constexpr double wal_bytes_good = 4 * gibibyte;
// Beside the shards: care of the database, attributes of devices, and whoever looks or migrates.
constexpr std::uint64_t other_connections = 4;
// Of these many checkpoints more than half because the log was full says something.
constexpr std::uint64_t checkpoints_enough = 10;
// What TimescaleDB takes of max_worker_processes beside its jobs and parallel queries.
constexpr double own_workers = 3;

Finding finding(FindingLevel level, std::string subject, std::string seen, std::string reason = {},
                std::string fix = {}) {
  return {level, "database", std::move(subject), std::move(seen), std::move(reason), std::move(fix)};
}

std::string reload(std::string_view setting, std::string_view value) {
  return fmt::format("ALTER SYSTEM SET {} = '{}'; SELECT pg_reload_conf(); -- as a superuser", setting,
                     value);
}
std::string restart(std::string_view setting, std::string_view value, std::string_view remark = {}) {
  return fmt::format("ALTER SYSTEM SET {} = '{}'; -- as a superuser; then restart the server{}", setting,
                     value, remark);
}
std::string seen_of(const ServerFacts& facts, const std::string& setting) {
  return fmt::format("{} = {}", setting, facts.text(setting));
}

// fsync, full_page_writes, autovacuum, track_counts: on, or something is wrong.
Finding judge_switch(const ServerFacts& facts, const std::string& name, FindingLevel when_off,
                     std::string reason) {
  if (facts.text(name) != "off") return finding(ok, name, facts.text(name));
  return finding(when_off, name, "off", std::move(reason), reload(name, "on"));
}

Finding judge_shared_buffers(const ServerFacts& facts, const DatabaseWishes& wishes) {
  const double buffers = facts.setting("shared_buffers");
  const double memory = facts.local ? static_cast<double>(wishes.memory_bytes) : 0;
  const std::string seen = seen_of(facts, "shared_buffers") +
                           (memory > 0 ? fmt::format(" of {} memory", readable_bytes(memory)) : "");
  const double good = memory > 0 ? std::min(memory / 4, 64 * gibibyte) : gibibyte;
  const std::string fix =
      restart("shared_buffers", fmt::format("{:.0f}MB", good / (1 << 20)),
              memory > 0 ? "" : "; a quarter of its memory is better, which is not known from here");
  if (memory > 0 && buffers > memory * 0.6)
    return finding(warning, "shared_buffers", seen,
                   "little is left for queries, connections and the node: the kernel may end the database",
                   fix);
  // Some less than the quarter does no harm.
  if (buffers >= good * 0.6) return finding(ok, "shared_buffers", seen);
  return finding(advice, "shared_buffers", seen,
                 "index pages of the newest chunks are read again and again instead of staying in memory",
                 fix);
}

Finding judge_wal_size(const ServerFacts& facts) {
  const std::uint64_t all = facts.checkpoints_timed + facts.checkpoints_requested;
  const std::string seen = fmt::format("{}; {} of {} checkpoints came early", seen_of(facts, "max_wal_size"),
                                       facts.checkpoints_requested, all);
  const bool early = all >= checkpoints_enough && facts.checkpoints_requested > facts.checkpoints_timed;
  const bool small = facts.setting("max_wal_size") < wal_bytes_good;
  if (early)
    return finding(
        small ? warning : advice, "max_wal_size", seen,
        "where it is the log that was full, and not backups or new databases that asked for them, whole "
        "pages "
        "are logged again after each",
        reload("max_wal_size",
               small ? "8GB" : fmt::format("{:.0f}GB", 2 * facts.setting("max_wal_size") / gibibyte)));
  if (!small) return finding(ok, "max_wal_size", seen);
  return finding(advice, "max_wal_size", seen,
                 "at full load the log fills within a minute or two, and checkpoints come early",
                 reload("max_wal_size", "8GB"));
}

Finding judge_checkpoint_timeout(const ServerFacts& facts) {
  if (facts.setting("checkpoint_timeout") >= checkpoint_seconds_good)
    return finding(ok, "checkpoint_timeout", facts.text("checkpoint_timeout"));
  return finding(
      advice, "checkpoint_timeout", facts.text("checkpoint_timeout"),
      "after each checkpoint the first change of a page logs the whole page: rarer ones make less log",
      reload("checkpoint_timeout", "15min"));
}

Finding judge_wal_compression(const ServerFacts& facts) {
  if (facts.text("wal_compression") != "off")
    return finding(ok, "wal_compression", facts.text("wal_compression"));
  constexpr int lz4_since = 150'000;
  return finding(advice, "wal_compression", "off",
                 "whole pages in the log take their full size on disk and network",
                 reload("wal_compression", facts.server.postgresql_version >= lz4_since ? "lz4" : "on"));
}

Finding judge_commit(const DatabaseWishes& wishes) {
  const std::string seen = fmt::format("the node's sessions set {}", wishes.synchronous_commit);
  if (wishes.journal && wishes.synchronous_commit != "off")
    return finding(
        advice, "synchronous_commit", seen,
        "the journal keeps what a crash of the database forgets, so waiting for its disk gains nothing",
        "database.synchronous_commit = \"automatic\"");
  if (!wishes.journal && wishes.synchronous_commit == "off")
    return finding(problem, "synchronous_commit", seen + ", without a journal",
                   "a crash of the database loses records that were acknowledged",
                   "journal.enabled = true, or database.synchronous_commit = \"on\"");
  return finding(ok, "synchronous_commit", seen);
}

Finding judge_connections(const ServerFacts& facts, const DatabaseWishes& wishes) {
  const auto most = static_cast<std::uint64_t>(facts.setting("max_connections") -
                                               facts.setting("superuser_reserved_connections"));
  const std::uint64_t wanted = wishes.shards + other_connections;
  const std::string seen =
      fmt::format("{}, {} in use; the node wants {} for {} shards", seen_of(facts, "max_connections"),
                  facts.connections, wanted, wishes.shards);
  const std::string fix = restart("max_connections", std::to_string(2 * wanted + facts.connections + 20));
  if (wanted > most)
    return finding(problem, "max_connections", seen, "some shards can never connect, and their records wait",
                   fix);
  // The node itself may be among those in use.
  if (facts.connections > most - std::min(most, other_connections))
    return finding(warning, "max_connections", seen, "a node that has to connect again may not be let in",
                   fix);
  return finding(ok, "max_connections", seen);
}

// A query that cannot leave chunks out locks all of them and their indexes.
Finding judge_locks(const ServerFacts& facts) {
  const double slots = facts.setting("max_locks_per_transaction") *
                       (facts.setting("max_connections") + facts.setting("max_prepared_transactions"));
  std::uint64_t most = 0;
  std::string table;
  for (const TableFacts& each : facts.tables) {
    const std::uint64_t locks = each.chunks * (1 + each.indexes);
    if (locks > most) table = each.table;
    most = std::max(most, locks);
  }
  const std::string seen =
      most == 0 ? fmt::format("{}; there are no chunks", seen_of(facts, "max_locks_per_transaction"))
                : fmt::format("{}, {:.0f} in all; a query over all chunks of {} takes {}",
                              seen_of(facts, "max_locks_per_transaction"), slots, table, most);
  if (static_cast<double>(most) <= slots / 2) return finding(ok, "max_locks_per_transaction", seen);
  const double good = 4 * static_cast<double>(most) / std::max(1.0, facts.setting("max_connections"));
  return finding(static_cast<double>(most) > slots ? problem : warning, "max_locks_per_transaction", seen,
                 "two such queries, a dump, or dropping the table fail with \"out of shared memory\"",
                 restart("max_locks_per_transaction", fmt::format("{:.0f}", std::max(128.0, good))));
}

void judge_workers(const ServerFacts& facts, Findings& findings) {
  if (facts.server.edition == Edition::plain) return;
  const double jobs = facts.setting("timescaledb.max_background_workers");
  const double all = facts.setting("max_worker_processes");
  const double needed = own_workers + jobs + facts.setting("max_parallel_workers");
  const std::string seen =
      fmt::format("timescaledb.max_background_workers = {:.0f} for {} jobs and {} databases", jobs,
                  facts.jobs.jobs, facts.databases);
  const auto wanted = static_cast<double>(facts.databases + std::min<std::uint64_t>(facts.jobs.jobs, 16));
  findings.push_back(
      jobs >= wanted
          ? finding(ok, "workers for jobs", seen)
          : finding(advice, "workers for jobs", seen,
                    "jobs that are due at the same time wait for one another: aggregates and compression lag",
                    restart("timescaledb.max_background_workers", fmt::format("{:.0f}", wanted))));
  const std::string processes =
      fmt::format("max_worker_processes = {:.0f}; jobs and parallel queries may want {:.0f}", all, needed);
  findings.push_back(all >= needed ? finding(ok, "max_worker_processes", processes)
                                   : finding(advice, "max_worker_processes", processes,
                                             "jobs find no process to run in while queries run in parallel",
                                             restart("max_worker_processes", fmt::format("{:.0f}", needed))));
}

}  // namespace

Findings judge_settings(const ServerFacts& facts, const DatabaseWishes& wishes) {
  Findings findings{
      judge_switch(
          facts, "fsync", problem,
          "a crash of the machine can leave the whole database unreadable, whatever the node promises"),
      judge_switch(
          facts, "full_page_writes", problem,
          "a crash of the machine can leave torn pages; only file systems that never tear a page are safe"),
      judge_switch(facts, "autovacuum", warning,
                   "dead rows of the progress and the aggregates' log pile up, and plans are made from old "
                   "statistics"),
      judge_switch(facts, "track_counts", warning, "autovacuum does nothing without it"),
      judge_shared_buffers(facts, wishes),
      judge_wal_size(facts),
      judge_checkpoint_timeout(facts),
      judge_wal_compression(facts),
      judge_commit(wishes),
      judge_connections(facts, wishes),
      judge_locks(facts)};
  judge_workers(facts, findings);
  return findings;
}

}  // namespace wellhead
