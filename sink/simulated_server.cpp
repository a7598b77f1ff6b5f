#include "sink/simulated_server.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <ranges>
#include <sstream>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"

namespace wellhead::test {
namespace {

std::vector<std::string> split(std::string_view statements) {
  std::vector<std::string> parts;
  while (!statements.empty()) {
    const std::size_t end = statements.find("; ");
    parts.emplace_back(statements.substr(0, end));
    statements = end == std::string_view::npos ? std::string_view() : statements.substr(end + 2);
  }
  return parts;
}

std::uint64_t number_behind(const std::string& text, std::string_view marker) {
  const std::size_t at = text.find(marker);
  WELLHEAD_ASSERT(at != std::string::npos);
  return std::stoull(text.substr(at + marker.size()));
}

// 1, 2, 3::bigint
std::vector<std::uint64_t> numbers_in(std::string_view list) {
  std::vector<std::uint64_t> numbers;
  while (!list.empty()) {
    list.remove_prefix(std::min(list.find_first_not_of(", "), list.size()));
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(list.data(), list.data() + list.size(), number);
    WELLHEAD_ASSERT(error == std::errc{});
    numbers.push_back(number);
    list.remove_prefix(std::min(list.find(','), list.size()));
  }
  return numbers;
}

// The numbers of (1, 2, 3), (4, 5, 6), … behind VALUES, up to the bracket that closes the list.
std::vector<std::vector<std::uint64_t>> values_of(std::string_view text) {
  constexpr std::string_view marker = "VALUES ";
  std::vector<std::vector<std::uint64_t>> lists;
  std::size_t at = text.find(marker);
  WELLHEAD_ASSERT(at != std::string_view::npos);
  at += marker.size();
  while (at < text.size() && text[at] == '(') {
    const std::size_t end = text.find(')', at);
    lists.push_back(numbers_in(text.substr(at + 1, end - at - 1)));
    at = text.find_first_not_of(", ", end + 1);
  }
  return lists;
}

LaneId lane_in(const std::vector<std::uint64_t>& numbers) {
  WELLHEAD_ASSERT(numbers.size() >= 3);
  return {static_cast<std::uint32_t>(numbers[0]), static_cast<std::uint32_t>(numbers[1]),
          static_cast<std::uint32_t>(numbers[2])};
}

std::vector<std::string> tuples_of(const std::string& stream) {
  WELLHEAD_ASSERT(stream.starts_with(copy_binary::header) && stream.ends_with(copy_binary::trailer));
  std::vector<std::string> tuples;
  std::size_t at = copy_binary::header.size();
  const auto* bytes = reinterpret_cast<const std::byte*>(stream.data());
  while (at < stream.size() - copy_binary::trailer.size()) {
    const std::size_t begin = at;
    const auto fields = copy_binary::get<std::uint16_t>(bytes + at);
    at += copy_binary::tuple_header_bytes;
    for (std::uint16_t field = 0; field < fields; ++field) {
      const auto length = static_cast<std::int32_t>(copy_binary::get<std::uint32_t>(bytes + at));
      at += copy_binary::field_header_bytes + (length < 0 ? 0U : static_cast<std::size_t>(length));
    }
    tuples.push_back(stream.substr(begin, at - begin));
  }
  return tuples;
}

template <typename Key, typename Value>
void set(std::map<Key, Value>& known, const Key& key, const std::optional<Value>& value) {
  if (value)
    known[key] = *value;
  else
    known.erase(key);
}

template <typename Key, typename Value>
std::optional<Value> find(const std::map<Key, Value>& known, const Key& key) {
  const auto found = known.find(key);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

// The elements of the array literals of a statement; the tests' texts need no quoting.
std::vector<std::vector<std::string>> arrays_of(const std::string& text) {
  std::vector<std::vector<std::string>> arrays;
  for (std::size_t at = text.find("'{"); at != std::string::npos; at = text.find("'{", at + 1)) {
    std::istringstream elements(text.substr(at + 2, text.find("}'", at) - at - 2));
    auto& array = arrays.emplace_back();
    for (std::string element; std::getline(elements, element, ',');) {
      std::erase(element, '"');
      array.push_back(element);
    }
  }
  return arrays;
}

std::string literal_behind(const std::string& text, std::string_view marker) {
  const std::size_t at = text.find(marker) + marker.size();
  return text.substr(at, text.find('\'', at) - at);
}

}  // namespace

// --- the store ---

std::vector<std::string> ServerState::rows() const {
  std::vector<std::string> all;
  for (const auto& [table, rows] : tables) all.insert(all.end(), rows.begin(), rows.end());
  std::ranges::sort(all);
  return all;
}

void ServerStore::commit(ServerChange change, bool durable) {
  Undo undo{.rows_added = {},
            .progress_before = {},
            .baselines_before = {},
            .invalidations_added = change.invalidations.size(),
            .durable = durable};
  for (auto& [name, rows] : change.rows) {
    undo.rows_added[name] = rows.size();
    auto& table = committed.tables[name];
    table.insert(table.end(), std::move_iterator(rows.begin()), std::move_iterator(rows.end()));
  }
  for (const auto& [lane, sequence] : change.progress) {
    undo.progress_before[lane] = find(committed.progress, lane);
    set(committed.progress, lane, sequence);
  }
  for (auto& [device, state] : change.baselines) {
    undo.baselines_before[device] = find(committed.baselines, device);
    committed.baselines[device] = std::move(state);
  }
  auto& invalidations = committed.invalidations;
  invalidations.insert(invalidations.end(), change.invalidations.begin(), change.invalidations.end());
  log_.push_back(std::move(undo));
}

void ServerStore::apply(const Undo& undo, ServerState& state) {
  for (const auto& [name, count] : undo.rows_added) {
    auto& table = state.tables.at(name);
    WELLHEAD_ASSERT(table.size() >= count);
    table.resize(table.size() - count);
  }
  WELLHEAD_ASSERT(state.invalidations.size() >= undo.invalidations_added);
  state.invalidations.resize(state.invalidations.size() - undo.invalidations_added);
  for (const auto& [lane, sequence] : undo.progress_before) set(state.progress, lane, sequence);
  for (const auto& [device, baseline] : undo.baselines_before) set(state.baselines, device, baseline);
}

void ServerStore::forget(std::size_t commits) {
  WELLHEAD_ASSERT(commits <= log_.size());
  ++restarts_;
  for (; commits > 0; --commits) {
    apply(log_.back(), committed);
    log_.pop_back();
  }
}

std::size_t ServerStore::unflushed() const {
  const auto newest_first = log_ | std::views::reverse;
  return static_cast<std::size_t>(std::ranges::find_if(newest_first, &Undo::durable) - newest_first.begin());
}

ServerState ServerStore::flushed() const {
  ServerState state = committed;
  for (const Undo& undo : log_ | std::views::reverse | std::views::take(unflushed())) apply(undo, state);
  return state;
}

// --- progress, as a transaction sees it ---

std::optional<std::uint64_t> SimulatedServer::progress_of(LaneId lane) const {
  if (const auto changed = change_.progress.find(lane); changed != change_.progress.end())
    return changed->second;
  return find(committed.progress, lane);
}

void SimulatedServer::set_progress(LaneId lane, std::optional<std::uint64_t> sequence) {
  if (store_->progress_outside_transaction)
    set(committed.progress, lane, sequence);
  else
    change_.progress[lane] = sequence;
}

std::size_t SimulatedServer::move_progress(const std::string& text) {
  std::size_t moved = 0;
  for (const auto& numbers : values_of(text)) {
    WELLHEAD_ASSERT(numbers.size() == 5);
    if (progress_of(lane_in(numbers)) != numbers[3]) continue;
    set_progress(lane_in(numbers), numbers[4]);
    ++moved;
  }
  return moved;
}

void SimulatedServer::insert_progress(const std::string& text) {
  for (const auto& numbers : values_of(text))
    if (!progress_of(lane_in(numbers))) set_progress(lane_in(numbers), 0);
}

void SimulatedServer::delete_progress(const std::string& text) {
  const std::uint64_t oldest = number_behind(text, "epoch < ");
  std::vector<LaneId> forgotten;
  for (const auto& [lane, sequence] : committed.progress)
    if (lane.epoch < oldest) forgotten.push_back(lane);
  for (const LaneId lane : forgotten) set_progress(lane, std::nullopt);
}

void SimulatedServer::select_progress(const std::string& text) {
  selected_.clear();
  for (const auto& numbers : values_of(text)) {
    const LaneId lane = lane_in(numbers);
    selected_.push_back({std::to_string(lane.epoch), std::to_string(lane.reactor), std::to_string(lane.shard),
                         std::to_string(progress_of(lane).value())});
  }
}

DatabaseResult<void> SimulatedServer::save_baselines(const std::string& text) {
  WELLHEAD_ASSERT(in_transaction_);
  ++baseline_saves;
  if (refuses_baselines) return std::unexpected(DatabaseError{"22021", "refused", ""});
  const std::string stream = literal_behind(text, "SELECT '");
  const auto arrays = arrays_of(text);
  WELLHEAD_ASSERT(arrays.size() == 2 && arrays[0].size() == arrays[1].size());
  if (std::ranges::find(arrays[0], refuses_baseline_of) != arrays[0].end())
    return std::unexpected(DatabaseError{"23514", "refused", ""});
  // In order, or two nodes could deadlock; each once, or the real statement would fail.
  WELLHEAD_ASSERT(std::ranges::adjacent_find(arrays[0], std::greater_equal()) == arrays[0].end());
  for (std::size_t row = 0; row < arrays[0].size(); ++row)
    change_.baselines[{stream, arrays[0][row]}] = arrays[1][row];
  return {};
}

void SimulatedServer::select_baselines(const std::string& text) {
  WELLHEAD_ASSERT(!in_transaction_);
  ++baseline_lookups;
  selected_.clear();
  const std::string stream = literal_behind(text, "baseline.stream = '");
  const auto devices = arrays_of(text).front();
  for (std::size_t number = 0; number < devices.size(); ++number) {
    const auto found = committed.baselines.find({stream, devices[number]});
    if (found != committed.baselines.end()) selected_.push_back({std::to_string(number + 1), found->second});
  }
}

// --- what aggregates are told ---

// ('telemetry', to_timestamp(1), to_timestamp(2)), …
void SimulatedServer::tell_invalidations(const std::string& text) {
  constexpr std::string_view call = "to_timestamp(";
  WELLHEAD_ASSERT(in_transaction_ && !aggregated.empty());
  const auto seconds_behind = [&](std::size_t at) { return std::stoll(text.substr(at + call.size())); };
  for (std::size_t at = text.find("('"); at != std::string::npos; at = text.find("('", at + 1)) {
    const std::size_t from = text.find(call, at);
    const std::size_t until = text.find(call, from + 1);
    change_.invalidations.push_back(
        {text.substr(at + 2, text.find('\'', at + 2) - at - 2), seconds_behind(from), seconds_behind(until)});
  }
}

DatabaseRows SimulatedServer::aggregated_streams(std::string_view query) const {
  DatabaseRows rows;
  for (std::size_t stream = 0; stream < schemas_.size(); ++stream) {
    const bool asked = query.find(sql_literal(schemas_[stream]->quoted_table())) != std::string_view::npos;
    const std::string& table = schemas_[stream]->config().table;
    if (asked && std::ranges::find(aggregated, table) != aggregated.end())
      rows.push_back({std::to_string(stream), table});
  }
  return rows;
}

// --- the connection ---

void SimulatedServer::break_call(int number, bool after_effect) {
  fate = [this, number, after_effect] {
    if (calls != number) return CallFate::goes_well;
    return after_effect ? CallFate::breaks_after : CallFate::breaks_before;
  };
}

DatabaseError SimulatedServer::broken() {
  disconnect();
  return {"", "the connection broke", ""};
}

DatabaseError SimulatedServer::fail(DatabaseError error) {
  statements_left_.clear();
  failed_ = in_transaction_;
  return error;
}

template <typename Value, typename Effect>
DatabaseResult<Value> SimulatedServer::call(Effect&& effect) {
  if (!alive()) return std::unexpected(broken());
  const CallFate what = fate ? fate() : CallFate::goes_well;
  ++calls;
  if (what == CallFate::breaks_before) return std::unexpected(broken());
  if (what == CallFate::fails_serialization && in_transaction_ && !failed_)
    return std::unexpected(fail({"40001", "could not serialize access", ""}));
  auto result = effect();
  if (what == CallFate::breaks_after) return std::unexpected(broken());
  return result;
}

void SimulatedServer::end_transaction() noexcept {
  in_transaction_ = failed_ = synchronous_here_ = compressing_ = false;
  change_ = {};
}

void SimulatedServer::disconnect() noexcept {
  connected_ = false;
  end_transaction();
  statements_left_.clear();
  copy_bytes_.clear();
}

DatabaseResult<void> SimulatedServer::connect() {
  disconnect();
  restarts_seen_ = store_->restarts();
  connected_ = true;
  return call<void>([]() -> DatabaseResult<void> { return {}; });
}

DatabaseResult<DatabaseStep> SimulatedServer::run(std::string_view statements) {
  return call<DatabaseStep>([&] {
    statements_left_ = split(statements);
    copies_ended_ = 0;
    return go_on();
  });
}

bool SimulatedServer::skips_compression_of(const std::string& copy) const {
  return std::ranges::any_of(
      skips_compression, [&](const std::string& table) { return copy.starts_with("COPY " + table + ' '); });
}

DatabaseResult<DatabaseStep> SimulatedServer::go_on() {
  step_ = {};
  while (!statements_left_.empty()) {
    const std::string text = statements_left_.front();
    statements_left_.erase(statements_left_.begin());
    if (text.starts_with("COPY ")) {
      WELLHEAD_ASSERT(in_transaction_ && !failed_);
      // Told when the COPY begins, which is heard while the one before it ends.
      if (compressing_ && skips_compression_of(text) && notice_handler_)
        notice_handler_({"WARNING", "01000",
                         "disabling direct compress because the destination table has triggers",
                         copies_ended_});
      copy_table_ = text.substr(5, text.find(' ', 5) - 5);
      copy_bytes_.clear();
      step_.copying = true;
      return step_;
    }
    if (auto done = statement(text); !done) return std::unexpected(fail(done.error()));
  }
  return step_;
}

DatabaseResult<void> SimulatedServer::statement(const std::string& text) {
  const auto is = [&text](std::string_view start) { return text.starts_with(start); };
  step_.command_tag = text;
  if (is("BEGIN")) {
    WELLHEAD_ASSERT(!in_transaction_);
    in_transaction_ = true;
  } else if (is("ROLLBACK TO SAVEPOINT")) {
    failed_ = false;
    change_ = savepoint_;
  } else if (is("ROLLBACK")) {
    end_transaction();
  } else if (failed_) {
    return std::unexpected(DatabaseError{"25P02", "current transaction is aborted", ""});
  } else if (is("COMMIT")) {
    store_->commit(std::move(change_), synchronous_ || synchronous_here_);
    end_transaction();
  } else if (is("SAVEPOINT")) {
    savepoint_ = change_;
  } else if (is("UPDATE wellhead_progress")) {
    step_.rows_updated = move_progress(text);
  } else if (is("INSERT INTO wellhead_progress")) {
    insert_progress(text);
  } else if (is("DELETE FROM wellhead_progress")) {
    delete_progress(text);
  } else if (is("SELECT epoch")) {
    select_progress(text);
  } else if (is("SELECT wanted.number")) {
    select_baselines(text);
  } else if (is("INSERT INTO wellhead_device_baselines")) {
    return save_baselines(text);
  } else if (is("INSERT INTO wellhead_invalidation")) {
    tell_invalidations(text);
  } else if (is("SET LOCAL timescaledb.enable_direct_compress_copy = ")) {
    WELLHEAD_ASSERT(in_transaction_);
    compressing_ = text.ends_with("on");
  } else if (is("SET LOCAL synchronous_commit = on")) {
    synchronous_here_ = true;
  } else {
    WELLHEAD_ASSERT(is("SELECT pg_advisory") || is("SET ") || is("RELEASE "));
    if (is("SELECT pg_advisory")) chunk_locks.push_back(text);
  }
  return {};
}

DatabaseResult<void> SimulatedServer::copy_data(std::span<const std::byte> bytes) {
  return call<void>([&]() -> DatabaseResult<void> {
    copy_bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  });
}

DatabaseResult<void> SimulatedServer::finish_copy() {
  ++copies;
  if (compressing_) compressed_copies.push_back(copy_table_);
  std::vector<std::string> rows = tuples_of(copy_bytes_);
  for (std::size_t row = 0; row < rows.size() && refuses; ++row) {
    if (!refuses(copy_table_, rows[row])) continue;
    std::string context;
    if (hint == LineHint::right) context = "COPY t, line " + std::to_string(row + 1);
    if (hint == LineHint::lying) context = "COPY t, line " + std::to_string(rows.size() - row);
    return std::unexpected(DatabaseError{"23514", "refused", context});
  }
  step_.rows_copied = rows.size();
  auto& table = change_.rows[copy_table_];
  table.insert(table.end(), std::move_iterator(rows.begin()), std::move_iterator(rows.end()));
  return {};
}

DatabaseResult<DatabaseStep> SimulatedServer::copy_end() {
  return call<DatabaseStep>([this]() -> DatabaseResult<DatabaseStep> {
    if (auto done = finish_copy(); !done) return std::unexpected(fail(done.error()));
    ++copies_ended_;
    return go_on();
  });
}

DatabaseRows SimulatedServer::compressible_streams(std::string_view query) const {
  DatabaseRows rows;
  for (std::size_t stream = 0; stream < schemas_.size(); ++stream) {
    const std::string& table = schemas_[stream]->quoted_table();
    if (std::ranges::find(compressible, table) == compressible.end()) continue;
    WELLHEAD_ASSERT(query.find(sql_literal(table)) != std::string_view::npos);
    rows.push_back({std::to_string(stream)});
  }
  return rows;
}

DatabaseRows SimulatedServer::columns_of(std::string_view query) const {
  const std::string some_type = "bigint";
  if (query.find("'wellhead_progress'") != std::string_view::npos) {
    DatabaseRows rows;
    for (const char* name : {"journal_id", "epoch", "reactor", "shard", "node_id", "sequence", "updated_at"})
      rows.push_back({name, some_type, "t", "f", "f", "t"});
    return rows;
  }
  if (query.find("'wellhead_device_baselines'") != std::string_view::npos) {
    if (!has_baselines) return {};
    DatabaseRows rows;
    for (const char* name : {"stream", "device_id", "state", "saved_at"})
      rows.push_back({name, some_type, "t", "f", "f", "t"});
    return rows;
  }
  if (query.find("'wellhead_aggregate'") != std::string_view::npos)
    return {{"view_name", some_type, "t", "f", "f", "t"}, {"source", some_type, "t", "f", "f", "t"}};
  if (query.find("'wellhead_invalidation'") != std::string_view::npos) {
    DatabaseRows rows;
    for (const char* name : {"source", "range_from", "range_until"})
      rows.push_back({name, some_type, "t", "f", "f", "t"});
    return rows;
  }
  DatabaseRows rows;
  for (const SchemaPointer& schema : schemas_) {
    if (query.find(sql_literal(schema->quoted_table())) == std::string_view::npos) continue;
    for (const ColumnConfig& column : schema->columns())
      rows.push_back({column.name, std::string(sql_type_name(column.type)), "f", "f", "f", "t"});
  }
  return rows;
}

DatabaseResult<DatabaseRows> SimulatedServer::query(std::string_view statements) {
  return call<DatabaseRows>([&]() -> DatabaseResult<DatabaseRows> {
    if (statements.starts_with("SELECT current_user"))
      return DatabaseRows{
          {"simulated", aggregated.empty() ? "f" : "t", "t", compressible.empty() ? "f" : "t"}};
    if (statements.starts_with("SELECT set_config")) return compressible_streams(statements);
    if (statements.starts_with("SELECT DISTINCT stream.number")) return aggregated_streams(statements);
    if (statements.starts_with("SELECT a.attname")) return columns_of(statements);
    if (statements.starts_with("SELECT c.conname")) return DatabaseRows{};
    if (statements.starts_with("SELECT true AND has_table_privilege")) return DatabaseRows{{"t"}};
    selected_.clear();
    statements_left_ = split(statements);
    if (auto done = go_on(); !done) return std::unexpected(done.error());
    return selected_;
  });
}

}  // namespace wellhead::test
