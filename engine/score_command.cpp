// `wellhead score`: a stream's rules over records that are not on their way to the database.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>

#include "base/clock.hpp"
#include "codec/quality.hpp"
#include "codec/schema_index.hpp"
#include "codec/sorted_row.hpp"
#include "engine/commands.hpp"
#include "engine/dead_letter_print.hpp"
#include "engine/exit_codes.hpp"
#include "engine/file_scorer.hpp"
#include "engine/rescore_report.hpp"
#include "engine/score_command.hpp"

namespace wellhead {
namespace {

int fail(const std::string& sentence, int exit_code = exit_failed) {
  std::cerr << sentence << '\n';
  return exit_code;
}

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f} %", 100 * *share) : "none";
}

std::string number(const std::optional<double>& share) {
  return share ? fmt::format("{:.3f}", *share) : "none";
}

// Time, device, score, reasons, and the values of the unusual fields.
std::string flagged_line(const Schema& schema, std::uint16_t device_column, const RowHeader& header,
                         const Verdict& verdict) {
  std::vector<std::string> values;
  for (const ScoredColumn& column : scored_columns(schema))
    if ((verdict.flags >> (quality_unusual_shift + column.bit) & 1) != 0)
      values.push_back(
          fmt::format("{}={}", schema.columns()[column.column].name, value_text(header, column)));
  return fmt::format("{}  {}  {:.2f}  {}  {}\n", moment_text(header.time_us),
                     escaped(field_of(header, device_column)), verdict.score,
                     fmt::join(quality_reasons(schema, verdict.flags), ", "), fmt::join(values, " "));
}

void print_bad_lines(const ScoreReport& report, const std::string& file) {
  for (const BadLine& line : report.bad_lines)
    std::cerr << fmt::format("{}:{}: {}{}{}: {}\n", file, line.number, line.code,
                             line.field.empty() ? "" : " ", line.field, line.message);
  if (report.rejected > report.bad_lines.size())
    std::cerr << fmt::format("{} more lines were rejected.\n", report.rejected - report.bad_lines.size());
}

void print_summary(const Schema& schema, const ScoreReport& report) {
  std::cout << fmt::format("stream       {}\nrows         {}\nrejected     {}\nrepaired     {}\n",
                           schema.name(), report.rows, report.rejected, report.repaired)
            << fmt::format("mean score   {}\nflagged      {} ({})\n", number(report.mean_score()),
                           report.flagged,
                           percent(report.rows == 0 ? std::nullopt
                                                    : std::optional(static_cast<double>(report.flagged) /
                                                                    static_cast<double>(report.rows))));
  for (std::size_t bit = 0; bit < report.by_bit.size(); ++bit)
    if (report.by_bit[bit] > 0)
      std::cout << fmt::format("  {:<32} {:>10}\n",
                               fmt::join(quality_reasons(schema, std::uint64_t{1} << bit), ""),
                               report.by_bit[bit]);
  const auto& [ordinary, faults] = report.labelled;
  const std::uint64_t labelled = ordinary[0] + ordinary[1] + faults[0] + faults[1];
  if (labelled == 0) return;
  std::cout << fmt::format(
      "labelled     {} rows, {} of them anomalies\nprecision    {}\nrecall       {}\nF1           {}\n"
      "false positives  {} of the rows labelled ordinary\n",
      labelled, faults[0] + faults[1], number(report.precision()), number(report.recall()),
      number(report.f1()), percent(report.false_positive_rate()));
}

int score_file(const ScoreArguments& arguments, const LoadedConfig& loaded, const SchemaPointer& schema,
               std::istream& input) {
  const auto offline = offline_stream(schema->config());
  if (!offline) return fail(offline.error(), exit_config);
  FileScorer scorer(*offline, file_scorer_options(loaded.config));
  const std::uint16_t device_column = (*offline)->lookup().device_column();
  FileScorer::VisitRow visit;
  if (arguments.flagged)
    visit = [&](const RowHeader& header, const Verdict& verdict) {
      if (verdict.anomaly) std::cout << flagged_line(**offline, device_column, header, verdict);
    };
  const bool whole = scorer.run(input, visit);
  print_bad_lines(scorer.report(), *arguments.input);
  print_summary(**offline, scorer.report());
  if (!whole)
    return fail(fmt::format("{} could not be read to its end: the figures are of what came before.",
                            *arguments.input));
  const int written =
      arguments.json ? write_figures(*arguments.json, print_score_json(scorer.report())) : exit_ok;
  if (scorer.report().rows > 0 || written != exit_ok) return written;
  return fail(fmt::format(
      "No line of {} became a row of {}: the file has one JSON record a line, as the stream takes them.",
      *arguments.input, (*offline)->name()));
}

int score(const ScoreArguments& arguments) {
  if (arguments.replay == arguments.input.has_value())
    return fail("Say what to score: --input FILE, or --replay for what the journal holds.", exit_usage);
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  const auto schema = scored_stream(*loaded, arguments.stream);
  if (!schema) return fail(schema.error(), exit_usage);
  if (arguments.replay) return replay_journal(arguments, *loaded, *schema);
  std::ifstream input(*arguments.input, std::ios::binary);
  // A directory opens and cannot be read.
  if (!input || (input.peek(), input.bad()))
    return fail(fmt::format("{} cannot be read, so nothing was scored: look at its name and permissions.",
                            *arguments.input));
  input.clear();
  return arguments.compare ? compare_file(arguments, *loaded, *schema, input)
                           : score_file(arguments, *loaded, *schema, input);
}

}  // namespace

std::expected<SchemaPointer, std::string> scored_stream(const LoadedConfig& loaded, const std::string& name) {
  std::string names;
  for (const SchemaPointer& schema : loaded.schemas) {
    if (!computed_places(*schema).any()) continue;
    if (schema->name() == name) return schema;
    names += (names.empty() ? "" : ", ") + schema->name();
  }
  return std::unexpected(fmt::format(
      "--stream: {} is no stream of the configuration that has a score, an anomaly flag or quality flags; "
      "those are {}.",
      name, names.empty() ? "none" : names));
}

int write_figures(const std::string& file, const std::string& text) {
  std::ofstream out(file, std::ios::trunc);
  out << text;
  out.close();
  if (out) return exit_ok;
  return fail(fmt::format("{} could not be written; what is printed above is all there is.", file));
}

void add_score_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command =
      app.add_subcommand("score", "Runs a stream's rules over a file of records, or again over the journal");
  const auto arguments = std::make_shared<ScoreArguments>();
  arguments->config.add_to(*command, false);
  CLI::Option* const input =
      command->add_option("--input", arguments->input, "One JSON record a line; asks no database")
          ->type_name("FILE");
  command->add_option("--stream", arguments->stream, "Whose rules")
      ->capture_default_str()
      ->type_name("STREAM");
  command
      ->add_flag("--flagged", arguments->flagged,
                 "Prints each row that is an anomaly: time, device, score, reasons, unusual values")
      ->needs(input);
  command->add_option("--json", arguments->json, "Writes the figures there as one JSON object")
      ->type_name("FILE");
  command
      ->add_flag("--compare", arguments->compare,
                 "Shows how the rows differ from those the table has; changes nothing")
      ->needs(input);
  CLI::Option* const replay =
      command
          ->add_flag(
              "--replay", arguments->replay,
              "Scores what the journal holds again, by the configuration of today, shows the difference, and "
              "then writes score, anomaly flag and quality flags of the rows that differ; that scores twice, "
              "so it takes twice as long as with --dry-run")
          ->excludes(input);
  command
      ->add_option(
          "--since", arguments->since,
          "Only rows written to the journal from then on: a time, or how long ago (1h). Those before are "
          "learned from. Default: all")
      ->type_name("TIME")
      ->needs(replay);
  command
      ->add_option("--dir", arguments->directory,
                   "The journal's directory. Default: journal.dir of the configuration")
      ->type_name("DIR")
      ->needs(replay);
  command->add_flag("--dry-run", arguments->dry_run, "Only shows the difference")->needs(replay);
  command->footer(
      "A record of a file counts as received at its own time: none is late, ahead of the clock or too old. "
      "Devices "
      "begin unknown, and of each the first readings teach (quality_flags: warming_up). Where records have a "
      "key "
      "anomaly (true, false, 0 or 1) that no column reads, the flags are compared with it: precision, "
      "recall, F1, and "
      "the share of the rows labelled false that are flagged.\n"
      "Exit codes: 0 scored, whatever was found; 1 it could not be, or no line of the file became a row.");
  command->callback([=] { chosen([=] { return score(*arguments); }); });
}

}  // namespace wellhead
