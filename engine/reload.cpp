#include "engine/reload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "codec/units.hpp"
#include "engine/config_keys.hpp"

namespace wellhead {
namespace {

std::int64_t unix_s_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class Comparison {
 public:
  Comparison(const LoadedConfig& in_force, const LoadedConfig& fresh) : in_force_(in_force), fresh_(fresh) {}

  std::vector<std::string> run() {
    for (std::size_t index = 0; index < config_keys().size(); ++index) compare_key(index);
    compare_streams();
    return std::move(found_);
  }

 private:
  void compare_key(std::size_t index) {
    const ConfigKey& key = config_keys()[index];
    if (key.name == reloadable_key || text_of(in_force_.config, key) == text_of(fresh_.config, key)) return;
    const Origin& now = fresh_.origins[index];
    const Origin& place = now.layer == Origin::Layer::built_in ? in_force_.origins[index] : now;
    const std::string values = key.secret ? std::string()
                                          : fmt::format(" from {} to {}", toml_of(in_force_.config, key),
                                                        toml_of(fresh_.config, key));
    found_.push_back(fmt::format("{}: {} is changed{}.", place.where, key.name, values));
  }

  void compare_streams() {
    const auto& before = in_force_.config.streams;
    const auto& after = fresh_.config.streams;
    for (std::size_t index = 0; index < before.size(); ++index) {
      if (std::ranges::find(after, before[index].name, &StreamConfig::name) == after.end())
        add(in_force_, index, "is not there any more");
    }
    for (std::size_t index = 0; index < after.size(); ++index) {
      const auto known = std::ranges::find(before, after[index].name, &StreamConfig::name);
      if (known == before.end())
        add(fresh_, index, "is new");
      else
        compare_stream(schema_in_force(known->name), index);
    }
  }

  // By name: the schemas are those of the start, whose streams may have stood in another order.
  [[nodiscard]] const StreamConfig& schema_in_force(const std::string& name) const {
    const auto found = std::ranges::find(in_force_.schemas, name, &Schema::name);
    WELLHEAD_ASSERT(found != in_force_.schemas.end());
    return (*found)->config();
  }

  void add(const LoadedConfig& loaded, std::size_t stream, const std::string& change) {
    found_.push_back(fmt::format("{}: streams.{} {}.", loaded.stream_places[stream],
                                 loaded.config.streams[stream].name, change));
  }

  // As they are compiled: the columns in the order they have in the rows.
  void compare_stream(const StreamConfig& before, std::size_t index) {
    const StreamConfig& after = fresh_.schemas[index]->config();
    const auto named = [&](std::string_view key, const std::string& old_name, const std::string& new_name) {
      if (old_name != new_name)
        add(fresh_, index, fmt::format("has another {}: \"{}\", not \"{}\"", key, new_name, old_name));
    };
    named("table", before.table, after.table);
    named("device", before.device_column, after.device_column);
    named("time", before.time_column, after.time_column);
    if (before.columns.size() != after.columns.size())
      return add(fresh_, index,
                 fmt::format("has {} columns, not {}", after.columns.size(), before.columns.size()));
    for (std::size_t column = 0; column < after.columns.size(); ++column)
      compare_column(before.columns[column], after.columns[column], index);
  }

  void compare_column(const ColumnConfig& before, const ColumnConfig& after, std::size_t index) {
    if (before.name != after.name)
      return add(fresh_, index, fmt::format("has column \"{}\" where \"{}\" was", after.name, before.name));
    if (before.type != after.type)
      return add(fresh_, index,
                 fmt::format("has column \"{}\" as {}, not {}", after.name, to_string(after.type),
                             to_string(before.type)));
    // The bits of quality_flags and the saved baselines are by the scored columns' order.
    if (before.scored != after.scored)
      return add(fresh_, index,
                 fmt::format("has column \"{}\" {}scored", after.name, after.scored ? "" : "not "));
    if (!same_unit(before.unit, after.unit))
      add(fresh_, index,
          fmt::format("stores column \"{}\" in {}, not in {}: its table would mix both, and the devices' "
                      "baselines would be wrong; use a new column, or convert the table before a restart",
                      after.name, unit_text(after.unit), unit_text(before.unit)));
    if (before.source != after.source && (computed(before.source) || computed(after.source)))
      add(fresh_, index, fmt::format("computes column \"{}\" differently", after.name));
  }

  // Another spelling is no other unit.
  static bool same_unit(const std::string& before, const std::string& after) {
    const Unit* const old_unit = find_unit(before);
    const Unit* const new_unit = find_unit(after);
    return before == after || (old_unit != nullptr && new_unit != nullptr && old_unit->same_scale(*new_unit));
  }

  static std::string unit_text(const std::string& unit) {
    return unit.empty() ? "no unit" : quote_toml(unit);
  }

  const LoadedConfig& in_force_;
  const LoadedConfig& fresh_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> needs_restart(const LoadedConfig& in_force, const LoadedConfig& fresh) {
  return Comparison(in_force, fresh).run();
}

std::vector<AttributeKeeper::Adoption> adoptions(const LoadedConfig& known, const LoadedConfig& fresh,
                                                 const AttributesTables& tables) {
  std::vector<AttributeKeeper::Adoption> streams;
  for (const SchemaPointer& stream : known.schemas) {
    const auto same = std::ranges::find(fresh.schemas, stream->name(), &Schema::name);
    WELLHEAD_ASSERT(same != fresh.schemas.end());
    streams.push_back({.stream = stream,
                       .rules = *same == stream ? nullptr : *same,
                       .table = tables[static_cast<std::size_t>(same - fresh.schemas.begin())]});
  }
  return streams;
}

Reloader::Reloader(LoadedConfig started, AttributeKeeper& attributes)
    : in_force_(std::move(started)), attributes_(attributes) {
  stats_.last_good_unix_s.set(unix_s_now());
}

ReloadOutcome Reloader::refuse(const std::vector<std::string>& mistakes) {
  for (const std::string& mistake : mistakes) log::error(mistake);
  log::error("The configuration was not reloaded because of the mistakes above; the old one stays in force.");
  stats_.refused.add();
  return ReloadOutcome::refused;
}

ReloadOutcome Reloader::reload(std::expected<LoadedConfig, ConfigErrors> fresh) {
  if (!fresh) return refuse(fresh.error());
  for (const std::string& warning : fresh->warnings) log::warning(warning);
  // Read also where a restart is needed: that would fail by their mistakes.
  const auto tables = read_attributes_files(*fresh);
  if (!tables) return refuse(tables.error());
  if (const auto changes = needs_restart(in_force_, *fresh); !changes.empty()) {
    for (const std::string& change : changes) log::warning(change);
    log::warning(
        "The configuration is right, but the changes above take effect only after a restart; until then all "
        "of the "
        "old one stays in force, but for log.level.");
    stats_.needs_restart.add();
    return ReloadOutcome::needs_restart;
  }
  attributes_.adopt(adoptions(in_force_, *fresh, *tables));
  in_force_.config = std::move(fresh->config);
  in_force_.origins = std::move(fresh->origins);
  in_force_.stream_places = std::move(fresh->stream_places);
  stats_.done.add();
  stats_.last_good_unix_s.set(unix_s_now());
  log::info("Reloaded the configuration", {{"log_level", in_force_.config.log_level}});
  return ReloadOutcome::done;
}

}  // namespace wellhead
