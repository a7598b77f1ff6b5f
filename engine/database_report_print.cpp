#include "engine/database_report_print.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/json_text.hpp"
#include "engine/dead_letter_print.hpp"
#include "engine/node_client.hpp"

namespace wellhead {
namespace {

constexpr std::chrono::seconds node_timeout{2};
constexpr std::size_t cell_characters_max = 100;
constexpr std::string_view lag_metric = "wellhead_shard_lag_batches{shard=\"";
constexpr std::string_view unflushed_metric = "wellhead_shard_unflushed_batches{shard=\"";

bool is_number(FigureKind kind) {
  return kind != FigureKind::text && kind != FigureKind::flag && kind != FigureKind::time;
}

std::string shortened(std::string text) {
  if (text.size() <= cell_characters_max) return text;
  text.resize(cell_characters_max);
  return escaped(text) + "…";
}

std::string number_cell(double value, FigureKind kind) {
  switch (kind) {
    case FigureKind::bytes:
      return readable_bytes(value);
    case FigureKind::seconds:
      return readable_seconds(value);
    case FigureKind::milliseconds:
      return value < 1'000 ? fmt::format("{:.1f} ms", value) : readable_seconds(value / 1'000);
    case FigureKind::percent:
      return fmt::format("{:.1f} %", value);
    default:
      return fmt::format("{:.0f}", value);
  }
}

std::string cell(const std::optional<std::string>& field, FigureKind kind) {
  if (!field) return "-";
  if (kind == FigureKind::flag) return *field == "true" || *field == "t" ? "yes" : "no";
  const auto number = is_number(kind) ? figure_of(field) : std::nullopt;
  return number ? number_cell(*number, kind) : shortened(escaped(*field));
}

// The columns people see, as positions.
std::vector<std::size_t> shown_columns(const ReportLayout& layout) {
  std::vector<std::size_t> shown;
  for (std::size_t index = 0; index < layout.columns.size(); ++index)
    if (!layout.columns[index].heading.empty()) shown.push_back(index);
  return shown;
}

void print_list(const ReportSection& section, std::string& text) {
  for (const std::size_t index : shown_columns(*section.layout)) {
    const ReportColumn& column = section.layout->columns[index];
    text += fmt::format("  {:<20} {}\n", column.heading, cell(section.rows.front()[index], column.kind));
  }
}

void print_notes(const ReportSection& section, std::string& text) {
  for (const DatabaseRow& row : section.rows)
    text += fmt::format("  {}: {}\n", escaped(row[0].value_or("")), escaped(row[1].value_or("")));
}

using Cells = std::vector<std::string>;

std::string aligned(const Cells& cells, const std::vector<std::size_t>& widths, const ReportLayout& layout,
                    const std::vector<std::size_t>& shown) {
  std::string line;
  for (std::size_t place = 0; place < cells.size(); ++place) {
    const bool right = is_number(layout.columns[shown[place]].kind);
    line += right ? fmt::format("  {:>{}}", cells[place], widths[place])
                  : fmt::format("  {:<{}}", cells[place], widths[place]);
  }
  return line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
}

void print_rows(const ReportSection& section, std::string& text) {
  const ReportLayout& layout = *section.layout;
  const std::vector<std::size_t> shown = shown_columns(layout);
  std::vector<Cells> lines(1);
  for (const std::size_t index : shown) lines.front().emplace_back(layout.columns[index].heading);
  for (const DatabaseRow& row : section.rows) {
    Cells& cells = lines.emplace_back();
    for (const std::size_t index : shown) cells.push_back(cell(row[index], layout.columns[index].kind));
  }
  std::vector<std::size_t> widths(shown.size(), 0);
  for (const Cells& cells : lines)
    for (std::size_t place = 0; place < cells.size(); ++place)
      widths[place] = std::max(widths[place], cells[place].size());
  for (const Cells& cells : lines) text += aligned(cells, widths, layout, shown);
}

void print_section(const ReportSection& section, std::string& text) {
  const ReportLayout& layout = *section.layout;
  text += fmt::format("{}{}\n", text.empty() ? "" : "\n", layout.title);
  if (!section.problem.empty())
    text += fmt::format("  {}\n", section.problem);
  else if (section.rows.empty())
    text += "  none\n";
  else if (layout.rows_max == 1)
    print_list(section, text);
  else if (layout.name == "notes")
    print_notes(section, text);
  else
    print_rows(section, text);
  if (section.cut) text += fmt::format("  … and more; {} has all of them\n", layout.view);
}

std::string json_value(const std::optional<std::string>& field, FigureKind kind) {
  if (!field) return "null";
  if (kind == FigureKind::flag) return *field == "true" || *field == "t" ? "true" : "false";
  if (!is_number(kind)) return json_string(*field);
  return figure_of(field) ? *field : "null";
}

std::string json_row(const ReportLayout& layout, const DatabaseRow& row) {
  std::string text = "{";
  for (std::size_t index = 0; index < layout.columns.size(); ++index)
    text += fmt::format("{}\"{}\":{}", index == 0 ? "" : ",", layout.columns[index].name,
                        json_value(row[index], layout.columns[index].kind));
  return text + "}";
}

std::string json_section(const ReportSection& section) {
  if (!section.problem.empty()) return "null";
  const auto row = [&](const DatabaseRow& each) { return json_row(*section.layout, each); };
  if (section.layout->rows_max != 1) return json_array(section.rows, row);
  return section.rows.empty() ? "null" : row(section.rows.front());
}

std::vector<std::string> problems_of(const DatabaseReport& report, const NodeLag& node) {
  std::vector<std::string> problems;
  for (const ReportSection& section : report.sections)
    if (!section.problem.empty()) problems.push_back(section.problem);
  if (!node) problems.push_back(node.error());
  return problems;
}

// The count behind `metric` on the line that begins with it; the shard goes to `shard`.
std::optional<std::uint64_t> count_on(std::string_view line, std::string_view metric,
                                      std::string_view& shard) {
  if (!line.starts_with(metric)) return std::nullopt;
  line.remove_prefix(metric.size());
  const std::size_t quote = line.find("\"} ");
  if (quote == std::string_view::npos) return std::nullopt;
  shard = line.substr(0, quote);
  const auto number = figure_of(std::string(line.substr(quote + 3)));
  return number && *number >= 0 ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
}

}  // namespace

std::string readable_bytes(double bytes) {
  constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t unit = 0;
  for (; bytes >= 1'024 && unit + 1 < units.size(); ++unit) bytes /= 1'024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string readable_seconds(double seconds) {
  if (seconds < 120) return fmt::format("{:.1f} s", seconds);
  if (seconds < 2 * 3'600) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 2 * 86'400) return fmt::format("{:.1f} h", seconds / 3'600);
  return fmt::format("{:.1f} d", seconds / 86'400);
}

std::vector<ShardLag> parse_node_lag(std::string_view metrics) {
  std::vector<ShardLag> shards;
  const auto of = [&](std::string_view name) -> ShardLag& {
    const auto found = std::ranges::find(shards, name, &ShardLag::shard);
    return found != shards.end() ? *found : shards.emplace_back(ShardLag{std::string(name), 0, 0});
  };
  while (!metrics.empty()) {
    const std::size_t end = std::min(metrics.find('\n'), metrics.size());
    const std::string_view line = metrics.substr(0, end);
    metrics.remove_prefix(std::min(end + 1, metrics.size()));
    std::string_view shard;
    if (const auto lag = count_on(line, lag_metric, shard)) of(shard).lag_batches = *lag;
    if (const auto unflushed = count_on(line, unflushed_metric, shard))
      of(shard).unflushed_batches = *unflushed;
  }
  return shards;
}

NodeLag read_node_lag(const Endpoint& admin) {
  const std::string without =
      "How far the shards are behind their journal is not known: only the running node tells that";
  if (!admin.enabled) return std::unexpected(without + ", and admin.listen is \"off\".");
  const auto reply = NodeClient(admin, node_timeout).get("/metrics");
  if (!reply)
    return std::unexpected(
        fmt::format("{}, and none answers at {} ({}).", without, format_endpoint(admin), reply.error()));
  std::vector<ShardLag> shards = parse_node_lag(reply->body);
  if (reply->status != 200 || shards.empty())
    return std::unexpected(
        fmt::format("{}, and what answers at {} does not.", without, format_endpoint(admin)));
  return shards;
}

std::string print_database(const DatabaseReport& report, const NodeLag& node) {
  std::string text;
  for (const ReportSection& section : report.sections) {
    print_section(section, text);
    if (section.layout->name != "lanes") continue;
    text += "\nShards of the running node\n";
    if (!node) text += fmt::format("  {}\n", node.error());
    if (node)
      for (const ShardLag& shard : *node)
        text +=
            fmt::format("  shard {}: {} batches durable and not committed, {} committed and not flushed\n",
                        shard.shard, shard.lag_batches, shard.unflushed_batches);
  }
  return text;
}

std::string print_database_json(const DatabaseReport& report, const NodeLag& node) {
  std::string text = "{";
  for (const ReportSection& section : report.sections)
    text += fmt::format("\"{}\":{},", section.layout->name, json_section(section));
  const auto shard = [](const ShardLag& each) {
    return fmt::format(R"({{"shard":{},"lag_batches":{},"unflushed_batches":{}}})", json_string(each.shard),
                       each.lag_batches, each.unflushed_batches);
  };
  text += fmt::format("\"shards\":{},", node ? json_array(*node, shard) : "null");
  return text + fmt::format("\"problems\":{}}}\n", json_array(problems_of(report, node), json_string));
}

}  // namespace wellhead
