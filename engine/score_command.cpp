// `wellhead score`: a stream's rules over records that are not on their way to the database.
#include <fmt/chrono.h>
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

std::string time_text(std::int64_t time_us) {
  const auto since_1970 = std::chrono::microseconds(time_us + postgres_epoch_unix_us);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", std::chrono::sys_time<std::chrono::microseconds>(since_1970));
}

// Time, device, score, reasons, and the values of the unusual fields.
std::string flagged_line(const Schema& schema, std::uint16_t device_column, const RowHeader& header,
                         const Verdict& verdict) {
  std::vector<std::string> values;
  for (const ScoredColumn& column : scored_columns(schema))
    if ((verdict.flags >> (quality_unusual_shift + column.bit) & 1) != 0)
      values.push_back(
          fmt::format("{}={}", schema.columns()[column.column].name, value_text(header, column)));
  return fmt::format("{}  {}  {:.2f}  {}  {}\n", time_text(header.time_us),
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

int write_json(const std::string& file, const ScoreReport& report) {
  std::ofstream out(file, std::ios::trunc);
  out << print_score_json(report);
  out.close();
  if (out) return exit_ok;
  return fail(fmt::format("{} could not be written; the report above is all there is.", file));
}

int score_file(const ScoreArguments& arguments) {
  const std::optional<LoadedConfig> loaded = arguments.config.load();
  if (!loaded) return exit_config;
  const auto schema = scored_stream(*loaded, arguments.stream);
  if (!schema) return fail(schema.error(), exit_usage);
  const auto offline = offline_stream((*schema)->config());
  if (!offline) return fail(offline.error(), exit_config);
  std::ifstream input(*arguments.input, std::ios::binary);
  // A directory opens and cannot be read.
  if (!input || (input.peek(), input.bad()))
    return fail(fmt::format("{} cannot be read, so nothing was scored: look at its name and permissions.",
                            *arguments.input));
  input.clear();
  FileScorer scorer(*offline, {.limits = loaded->config.decoder,
                               .batch_bytes = loaded->config.batch_bytes,
                               .devices_max = loaded->config.scoring.devices_max});
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
  const int written = arguments.json ? write_json(*arguments.json, scorer.report()) : exit_ok;
  if (scorer.report().rows > 0 || written != exit_ok) return written;
  return fail(
      fmt::format("No line of {} became a row of {}: the file has one JSON record a line, as the stream "
                  "takes them.",
                  *arguments.input, (*offline)->name()));
}

int score(const ScoreArguments& arguments) {
  return score_file(arguments);
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

void add_score_command(CLI::App& app, const CommandChosen& chosen) {
  CLI::App* command = app.add_subcommand(
      "score", "Runs a stream's rules over a file of records, without a node and without a database");
  const auto arguments = std::make_shared<ScoreArguments>();
  arguments->config.add_to(*command, false);
  command->add_option("--input", arguments->input, "One JSON record a line")->type_name("FILE")->required();
  command->add_option("--stream", arguments->stream, "Whose rules")
      ->capture_default_str()
      ->type_name("STREAM");
  command->add_flag("--flagged", arguments->flagged,
                    "Prints each row that is an anomaly: time, device, score, reasons, unusual values");
  command->add_option("--json", arguments->json, "Writes the figures there as one JSON object")
      ->type_name("FILE");
  command->footer(
      "A record counts as received at its own time: none is late, ahead of the clock or too old. Devices "
      "begin "
      "unknown, and of each the first readings teach (quality_flags: warming_up). Where records have a key "
      "anomaly (true, false, 0 or 1) that no column reads, the flags are compared with it: precision, "
      "recall, "
      "F1, and the share of the rows labelled false that are flagged.\n"
      "Exit codes: 0 scored, whatever was found; 1 the file cannot be read, or no line of it became a row.");
  command->callback([=] { chosen([=] { return score(*arguments); }); });
}

}  // namespace wellhead
