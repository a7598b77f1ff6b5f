#include "engine/database_report_print.hpp"

#include <gtest/gtest.h>

#include <simdjson.h>

#include <algorithm>

#include "engine/metrics_database.hpp"

namespace wellhead {
namespace {

const ReportLayout& layout(std::string_view name) {
  return *std::ranges::find(report_layouts(), name, &ReportLayout::name);
}

DatabaseRow row_of(const ReportLayout& layout,
                   const std::vector<std::pair<std::string_view, std::string>>& given) {
  DatabaseRow row(layout.columns.size());
  for (const auto& [name, value] : given) {
    const auto place = std::ranges::find(layout.columns, name, &ReportColumn::name);
    EXPECT_NE(place, layout.columns.end()) << name;
    row[static_cast<std::size_t>(place - layout.columns.begin())] = value;
  }
  return row;
}

DatabaseReport sample() {
  DatabaseReport report;
  ReportSection tables{&layout("tables"), {}, true, ""};
  tables.rows.push_back(row_of(*tables.layout, {{"table_name", "odd\x1b\"name"},
                                                {"total_bytes", "1610612736"},
                                                {"cache_hit_percent", "99.5"},
                                                {"index_scans", "7"}}));
  report.sections.push_back(std::move(tables));
  report.sections.push_back({&layout("jobs"), {}, false, "database_jobs cannot be read: no."});
  ReportSection lanes{&layout("lanes"), {}, false, ""};
  lanes.rows.push_back(
      row_of(*lanes.layout, {{"node_id", "n"}, {"reactor", "0"}, {"shard", "1"}, {"idle_seconds", "600"}}));
  report.sections.push_back(std::move(lanes));
  return report;
}

TEST(DatabaseReportPrint, PeopleGetATableATerminalCanShow) {
  const std::string text = print_database(sample(), std::vector<ShardLag>{{"0", 3, 1}});
  EXPECT_NE(text.find("1.5 GiB"), std::string::npos) << text;
  EXPECT_NE(text.find("99.5 %"), std::string::npos) << text;
  EXPECT_NE(text.find("10 min"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("database_tables has all of them"), std::string::npos) << text;
  EXPECT_NE(text.find("database_jobs cannot be read: no."), std::string::npos) << text;
  EXPECT_NE(text.find("shard 0: 3 batches durable and not committed, 1 committed and not flushed"),
            std::string::npos)
      << text;
}

TEST(DatabaseReportPrint, ProgramsGetJsonWithNullForWhatIsNotKnown) {
  const std::string text = print_database_json(sample(), std::unexpected(std::string("none answers.")));
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  ASSERT_EQ(parser.parse(text).get(json), simdjson::SUCCESS) << text;
  const auto table = json["tables"].at(0);
  EXPECT_EQ(table["table_name"].get_string().value(), "odd\x1b\"name");
  EXPECT_EQ(table["total_bytes"].get_uint64().value(), 1'610'612'736U);
  EXPECT_TRUE(table["bloat_bytes"].is_null());
  EXPECT_TRUE(json["jobs"].is_null());
  EXPECT_TRUE(json["shards"].is_null());
  EXPECT_EQ(json["problems"].get_array().size(), 2U);
}

TEST(DatabaseReportPrint, TheNodesMetricsTellTheLagOfEachShard) {
  const auto shards = parse_node_lag(
      "# TYPE wellhead_shard_lag_batches gauge\nwellhead_shard_lag_batches{shard=\"0\"} 3\n"
      "wellhead_shard_lag_batches{shard=\"1\"} 0\nwellhead_shard_unflushed_batches{shard=\"0\"} 12\nother "
      "1\n");
  ASSERT_EQ(shards.size(), 2U);
  EXPECT_EQ(shards[0].lag_batches, 3U);
  EXPECT_EQ(shards[0].unflushed_batches, 12U);
  EXPECT_EQ(shards[1].lag_batches, 0U);
  EXPECT_TRUE(parse_node_lag("<html>").empty());
}

TEST(DatabaseMetrics, FiguresBecomeSeriesInBaseUnits) {
  Exposition exposition;
  add_database_metrics(exposition, sample());
  const std::string text = exposition.text();
  EXPECT_NE(text.find("wellhead_database_table_cache_hit_ratio{table=\"odd\x1b\\\"name\"} 0.995"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("# TYPE wellhead_database_table_index_scans_total counter"), std::string::npos) << text;
  EXPECT_NE(text.find("wellhead_database_lane_idle_seconds{node=\"n\",reactor=\"0\",shard=\"1\"} 600"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("wellhead_database_report_incomplete{part=\"tables\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("wellhead_database_report_incomplete{part=\"lanes\"} 0"), std::string::npos) << text;
  EXPECT_EQ(text.find("wellhead_database_table_bloat_bytes{"), std::string::npos) << "nobody knows it";
}

TEST(ReadableUnits, AreThoseThatMakeShortNumbers) {
  EXPECT_EQ(readable_bytes(512), "512 B");
  EXPECT_EQ(readable_bytes(1024.0 * 1024 * 5 / 2), "2.5 MiB");
  EXPECT_EQ(readable_seconds(0.25), "0.2 s");
  EXPECT_EQ(readable_seconds(600), "10 min");
  EXPECT_EQ(readable_seconds(86'400 * 3), "3.0 d");
}

}  // namespace
}  // namespace wellhead
