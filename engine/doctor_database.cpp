#include "engine/doctor_database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "database/conversion_table.hpp"
#include "engine/migrate.hpp"
#include "sink/catalog.hpp"
#include "sink/catalog_checks.hpp"

namespace wellhead {
namespace {

using enum FindingLevel;

std::vector<std::string> tables_of(std::span<const SchemaPointer> streams) {
  std::vector<std::string> tables;
  for (const SchemaPointer& stream : streams) tables.push_back(stream->config().table);
  return tables;
}

// A failed statement leaves no transaction behind.
void end_transaction(Database& database) {
  if (!database.connected() || !database.in_transaction()) return;
  [[maybe_unused]] const auto rolled_back = database.run("ROLLBACK");
}

std::expected<std::vector<std::string>, std::string> pending_migrations(Database& database) {
  const auto migrations = parse_migrations(embedded_migration_files(), embedded_down_files());
  if (!migrations) return std::unexpected(migrations.error());
  const auto report = Migrator(database, *migrations, {}, [](std::string_view) {}).status();
  end_transaction(database);
  if (!report) return std::unexpected(report.error());
  std::vector<std::string> pending;
  for (const MigrationRecord& record : report->records)
    if (record.state == MigrationState::pending || record.state == MigrationState::edited)
      pending.push_back(fmt::format("{:04}_{} ({})", record.version, record.name, to_string(record.state)));
  return pending;
}

Finding finding(FindingLevel level, std::string subject, std::string seen, std::string reason = {},
                std::string fix = {}) {
  return {level, "database", std::move(subject), std::move(seen), std::move(reason), std::move(fix)};
}

Finding judge_server(const Server& server) {
  const std::string seen = server.edition == Edition::plain
                               ? describe(server)
                               : fmt::format("{} on PostgreSQL {}", describe(server), server.postgresql);
  constexpr int oldest = 140'000;
  if (server.postgresql_version < oldest)
    return finding(problem, "server", seen, "the migrations need PostgreSQL 14 or newer",
                   "-- upgrade the server, to PostgreSQL 17 at best, by pg_upgrade");
  if (server.edition == Edition::community) return finding(ok, "server", seen);
  if (server.edition == Edition::apache)
    return finding(
        advice, "server", seen,
        "nothing is compressed, and the node computes the aggregates: compressed data take about a tenth",
        "ALTER SYSTEM SET timescaledb.license = 'timescale'; -- as a superuser, with the vendor's package "
        "timescaledb-2-postgresql-17 installed; then restart the server and run wellhead migrate up");
  const std::string make = "CREATE EXTENSION timescaledb; -- before wellhead migrate up, in a new database";
  return finding(
      advice, "server", seen, "data are in plain partitions, without hypertables and compression",
      server.available && server.preloaded
          ? make
          : "ALTER SYSTEM SET shared_preload_libraries = 'timescaledb'; -- as a superuser, with "
            "postgresql-17-timescaledb installed, and with the libraries it names already; then restart the "
            "server and: " +
                make);
}

void judge_migrations(const DatabaseFacts& facts, Findings& findings) {
  if (!facts.migrations_problem.empty())
    return findings.push_back(
        finding(warning, "migrations", facts.migrations_problem,
                "whether the tables are those this wellhead counts on is not known",
                fmt::format("GRANT SELECT ON wellhead_migration TO {};", sql_identifier(facts.server.role))));
  std::string seen;
  for (const std::string& each : facts.pending) seen += (seen.empty() ? "not applied: " : ", ") + each;
  findings.push_back(facts.pending.empty()
                         ? finding(ok, "migrations", "all applied")
                         : finding(warning, "migrations", seen, "this wellhead counts on what they make",
                                   "wellhead migrate status; wellhead migrate up"));
}

// The catalog's check tells of each column; a right that is missing is one finding for all of them.
void judge_streams(const DatabaseFacts& facts, Findings& findings) {
  std::vector<std::string> told;
  for (const std::string& each : facts.stream_problems) {
    const std::size_t grant = each.find("GRANT ");
    std::string fix =
        grant == std::string::npos
            ? "wellhead migrate up   # or what the sentence says; wellhead check tells when it is right"
            : each.substr(grant) + ";";
    if (grant != std::string::npos && std::ranges::find(told, fix) != told.end()) continue;
    told.push_back(fix);
    findings.push_back(finding(problem, "streams", each,
                               "records of the stream stay in the journal until it is full", std::move(fix)));
  }
  if (facts.stream_problems.empty())
    findings.push_back(finding(ok, "streams", "every stream can be written"));
  for (const std::string& each : facts.narrower_checks)
    findings.push_back(finding(warning, "constraints", each,
                               "the record is kept in dead_letter, and the table has no row of it",
                               "wellhead check   # tells when rules and constraints agree"));
}

void judge_watching(const ServerFacts& facts, Findings& findings) {
  findings.push_back(
      facts.reads_statistics
          ? finding(ok, "rights to look", "the role reads all statistics")
          : finding(advice, "rights to look", facts.role + " does not read others' statistics",
                    "reports of the database show statements without their text",
                    fmt::format("GRANT pg_monitor TO {}; -- as a superuser", sql_identifier(facts.role))));
  findings.push_back(facts.statements
                         ? finding(ok, "statements", "pg_stat_statements is there")
                         : finding(advice, "statements", "pg_stat_statements is not there",
                                   "nobody can tell which statements take the database's time",
                                   "CREATE EXTENSION pg_stat_statements; -- as a superuser, once it is among "
                                   "shared_preload_libraries and the server was restarted"));
}

void judge_jobs(const ServerFacts& facts, Findings& findings) {
  if (facts.server.edition != Edition::community) return;
  for (const std::string& job : facts.jobs.failing)
    findings.push_back(
        finding(warning, "jobs", "the last run failed of job " + job,
                "what it does is not done: compression, aggregates or retention stay behind",
                fmt::format("SELECT * FROM timescaledb_information.job_errors WHERE job_id = {} ORDER "
                            "BY finish_time DESC LIMIT 1;",
                            job.substr(0, job.find(' ')))));
  if (facts.jobs.failing.empty())
    findings.push_back(finding(ok, "jobs", fmt::format("{} scheduled, none failed last", facts.jobs.jobs)));
}

}  // namespace

DatabaseFacts gather_database(Database& database, std::span<const SchemaPointer> streams, bool scored) {
  DatabaseFacts facts;
  auto server = gather_server(database, tables_of(streams));
  end_transaction(database);
  if (!server) {
    facts.unreachable =
        fmt::format("it answers, and its catalogs cannot be read: {}", describe(server.error()));
    return facts;
  }
  facts.server = std::move(*server);
  const auto catalog = check_catalog(database, streams, scored);
  end_transaction(database);
  facts.stream_problems = catalog
                              ? catalog->problems
                              : std::vector{"The catalog cannot be read: " + describe(catalog.error()) + "."};
  if (auto narrower = find_narrower_checks(database, streams)) facts.narrower_checks = std::move(*narrower);
  auto pending = pending_migrations(database);
  if (pending)
    facts.pending = std::move(*pending);
  else
    facts.migrations_problem = std::move(pending.error());
  return facts;
}

Findings judge_database(const DatabaseFacts& facts, const DatabaseWishes& wishes) {
  if (facts.left_alone) return {finding(ok, "connection", "not asked")};
  if (!facts.unreachable.empty())
    return {finding(
        problem, "connection", facts.unreachable,
        wishes.journal ? "records wait in the journal until it is full"
                       : "no records are taken, since there is no journal",
        "psql \"$WELLHEAD_DATABASE_URL\" -c 'SELECT 1'   # or with what database.url or the PG… variables "
        "say; set them to what works")};
  Findings findings{judge_server(facts.server.server)};
  judge_migrations(facts, findings);
  judge_streams(facts, findings);
  for (Findings part : {judge_settings(facts.server, wishes), judge_tables(facts.server, wishes)})
    std::ranges::move(part, std::back_inserter(findings));
  judge_jobs(facts.server, findings);
  judge_watching(facts.server, findings);
  return findings;
}

}  // namespace wellhead
