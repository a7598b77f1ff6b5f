// The parts of `wellhead score` that compare with the database.
#include <fmt/format.h>

#include <iostream>

#include "base/clock.hpp"
#include "codec/quality.hpp"
#include "engine/config_check.hpp"
#include "engine/config_values.hpp"
#include "engine/exit_codes.hpp"
#include "engine/file_scorer.hpp"
#include "engine/node_journal.hpp"
#include "engine/rescore.hpp"
#include "engine/score_command.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

int fail(const std::string& sentence, int exit_code = exit_failed) {
  std::cerr << sentence << '\n';
  return exit_code;
}

// Null after a sentence on standard error.
std::unique_ptr<PgDatabase> connect(const Config& config) {
  auto database = std::make_unique<PgDatabase>(postgres_options(config), "wellhead score");
  const auto connected = database->connect();
  if (connected) return database;
  std::cerr
      << "Nothing was done: the database cannot be reached. Set database.url, WELLHEAD_DATABASE_URL or the "
         "PG… variables. It said: "
      << connected.error().message << '\n';
  return nullptr;
}

int write_json(const ScoreArguments& arguments, const Schema& schema, const RescoreReport& report) {
  return arguments.json ? write_figures(*arguments.json, print_rescore_json(schema, report)) : exit_ok;
}

// Of what was not to be written.
int tell(const ScoreArguments& arguments, const Schema& schema, const RescoreReport& report) {
  std::cout << print_rescore(schema, report, false);
  return write_json(arguments, schema, report);
}

}  // namespace

int replay_journal(const ScoreArguments& arguments, const LoadedConfig& loaded, const SchemaPointer& schema) {
  RescoreOptions options;
  if (arguments.since) {
    const auto since = parse_moment(*arguments.since, SystemClock().wall_us());
    if (!since)
      return fail(
          "--since takes a time with its offset (2026-03-01T12:00:00Z) or how long ago it was (90s, 1h).",
          exit_usage);
    options.since_us = *since;
  }
  const std::string directory = arguments.directory.value_or(loaded.config.journal.directory);
  const auto files = find_journal_directory(directory);
  if (!files) return fail(files.error().sentence);
  const auto database = connect(loaded.config);
  if (!database) return exit_failed;
  const auto run = [&](bool write) {
    options.write = write;
    return Rescore(**files, *database, loaded, schema, options).run([](const RescoreReport& so_far) {
      std::cerr << fmt::format("{} rows scored, {} differ, {} written\n", so_far.rows, so_far.changed,
                               so_far.written);
    });
  };
  const auto shown = run(false);
  if (!shown) return fail(directory + ": " + shown.error());
  if (arguments.dry_run) return tell(arguments, *schema, *shown);
  // The difference stands there before the first row is written, whatever becomes of the writing.
  std::cout << print_difference(*schema, *shown) << std::flush;
  const auto written = run(true);
  if (!written) return fail(directory + ": " + written.error());
  std::cout << fmt::format("\n{} rows written\n", written->written);
  return write_json(arguments, *schema, *written);
}

int compare_file(const ScoreArguments& arguments, const LoadedConfig& loaded, const SchemaPointer& schema,
                 std::istream& input) {
  const auto offline = offline_stream(schema->config());
  if (!offline) return fail(offline.error(), exit_config);
  const auto database = connect(loaded.config);
  if (!database) return exit_failed;
  // What only the receive time tells, and the attributes, the file cannot know.
  constexpr std::uint64_t kept = quality_bit(QualityReason::late) | quality_bit(QualityReason::clock_ahead) |
                                 quality_bit(QualityReason::unknown_device);
  RescoreReport report;
  RescoreTable table(*database, *offline, report, kept, false);
  auto asked = table.prepare();
  FileScorer scorer(*offline, file_scorer_options(loaded.config));
  const bool whole = scorer.run(input, [&](const RowHeader& header, const Verdict& verdict) {
    ++report.rows;
    if (asked) asked = table.add(header, verdict);
  });
  if (asked) asked = table.flush();
  if (!asked) return fail("The rows could not be compared: the database says " + asked.error().message + ".");
  if (!whole) return fail(*arguments.input + " could not be read to its end, so nothing was compared.");
  return tell(arguments, *schema, report);
}

}  // namespace wellhead
