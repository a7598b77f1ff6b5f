#include "sink/simulated_server.hpp"

#include <algorithm>
#include <functional>
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

// The tuples of numbers behind VALUES; what is no digit is passed over.
std::vector<std::vector<std::uint64_t>> values_of(const std::string& text) {
  std::vector<std::vector<std::uint64_t>> tuples;
  constexpr std::string_view marker = "VALUES ";
  std::size_t at = text.find(marker);
  WELLHEAD_ASSERT(at != std::string::npos);
  for (at += marker.size(); at < text.size() && text[at] != ')'; ++at) {
    if (text[at] != '(') continue;
    const std::size_t end = text.find(')', at);
    std::istringstream fields(text.substr(at + 1, end - at - 1));
    auto& tuple = tuples.emplace_back();
    for (std::string field; std::getline(fields, field, ',');) tuple.push_back(std::stoull(field));
    at = end;
  }
  return tuples;
}

LaneId lane_in(const std::vector<std::uint64_t>& tuple) {
  return {static_cast<std::uint32_t>(tuple[0]), static_cast<std::uint32_t>(tuple[1]),
          static_cast<std::uint32_t>(tuple[2])};
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

std::vector<std::string> ServerState::rows() const {
  std::vector<std::string> all;
  for (const auto& [table, rows] : tables) all.insert(all.end(), rows.begin(), rows.end());
  std::ranges::sort(all);
  return all;
}

std::size_t SimulatedServer::move_progress(const std::string& text) {
  std::size_t moved = 0;
  for (const auto& tuple : values_of(text)) {
    const auto lane = working_.progress.find(lane_in(tuple));
    if (lane == working_.progress.end() || lane->second != tuple[3]) continue;
    lane->second = tuple[4];
    ++moved;
  }
  return moved;
}

void SimulatedServer::insert_progress(const std::string& text) {
  for (const auto& tuple : values_of(text)) working_.progress.try_emplace(lane_in(tuple), 0);
}

void SimulatedServer::delete_progress(const std::string& text) {
  const std::uint64_t oldest = number_behind(text, "epoch < ");
  std::erase_if(working_.progress, [oldest](const auto& entry) { return entry.first.epoch < oldest; });
}

DatabaseRows SimulatedServer::select_progress(const std::string& text) const {
  DatabaseRows rows;
  for (const auto& tuple : values_of(text)) {
    const LaneId lane = lane_in(tuple);
    rows.push_back({std::to_string(lane.epoch), std::to_string(lane.reactor), std::to_string(lane.shard),
                    std::to_string(working_.progress.at(lane))});
  }
  return rows;
}

DatabaseResult<void> SimulatedServer::save_baselines(const std::string& text) {
  WELLHEAD_ASSERT(in_transaction_);
  ++baseline_saves;
  if (refuses_baselines) return std::unexpected(DatabaseError{"22021", "refused", ""});
  const std::string stream = literal_behind(text, "SELECT '");
  const auto arrays = arrays_of(text);
  WELLHEAD_ASSERT(arrays.size() == 2 && arrays[0].size() == arrays[1].size());
  // In order, or two nodes could deadlock; each once, or the real statement would fail.
  WELLHEAD_ASSERT(std::ranges::adjacent_find(arrays[0], std::greater_equal()) == arrays[0].end());
  for (std::size_t row = 0; row < arrays[0].size(); ++row)
    working_.baselines[{stream, arrays[0][row]}] = arrays[1][row];
  return {};
}

DatabaseRows SimulatedServer::select_baselines(const std::string& text) {
  WELLHEAD_ASSERT(!in_transaction_);
  ++baseline_lookups;
  DatabaseRows rows;
  const std::string stream = literal_behind(text, "baseline.stream = '");
  const auto devices = arrays_of(text).front();
  for (std::size_t number = 0; number < devices.size(); ++number) {
    const auto found = committed.baselines.find({stream, devices[number]});
    if (found != committed.baselines.end()) rows.push_back({std::to_string(number + 1), found->second});
  }
  return rows;
}

void SimulatedServer::commit() {
  in_transaction_ = false;
  store_->committed = working_;
  if (synchronous_ || synchronous_here_) store_->flushed = working_;
}

DatabaseError SimulatedServer::broken() {
  disconnect();
  return {"", "the connection broke", ""};
}

template <typename Value>
DatabaseResult<Value> SimulatedServer::call(const std::function<DatabaseResult<Value>()>& effect) {
  const bool breaks = calls++ == break_at;
  if (breaks && !break_after_effect) return std::unexpected(broken());
  auto result = effect();
  if (breaks) return std::unexpected(broken());
  return result;
}

void SimulatedServer::disconnect() noexcept {
  connected_ = false;
  in_transaction_ = false;
  failed_ = false;
  statements_left_.clear();
  copy_bytes_.clear();
}

DatabaseResult<void> SimulatedServer::connect() {
  disconnect();
  if (!store_->up) return std::unexpected(broken());
  return call<void>([this]() -> DatabaseResult<void> {
    connected_ = true;
    crashes_seen_ = store_->crashes;
    return {};
  });
}

DatabaseResult<DatabaseStep> SimulatedServer::run(std::string_view statements) {
  if (!connected() || !store_->up) return std::unexpected(broken());
  return call<DatabaseStep>([&] {
    statements_left_ = split(statements);
    return go_on();
  });
}

DatabaseResult<DatabaseStep> SimulatedServer::go_on() {
  step_ = {};
  while (!statements_left_.empty()) {
    const std::string text = statements_left_.front();
    statements_left_.erase(statements_left_.begin());
    if (text.starts_with("COPY ")) {
      WELLHEAD_ASSERT(in_transaction_ && !failed_);
      copy_table_ = text.substr(5, text.find(' ', 5) - 5);
      copy_bytes_.clear();
      step_.copying = true;
      return step_;
    }
    if (auto done = statement(text); !done) {
      statements_left_.clear();
      failed_ = in_transaction_;
      return std::unexpected(done.error());
    }
  }
  return step_;
}

DatabaseResult<void> SimulatedServer::statement(const std::string& text) {
  const auto is = [&text](std::string_view start) { return text.starts_with(start); };
  step_.command_tag = text;
  if (is("BEGIN")) {
    WELLHEAD_ASSERT(!in_transaction_);
    in_transaction_ = true;
    synchronous_here_ = false;
    working_ = committed;
  } else if (is("ROLLBACK TO SAVEPOINT")) {
    failed_ = false;
    working_ = savepoint_;
  } else if (is("ROLLBACK")) {
    in_transaction_ = failed_ = false;
  } else if (failed_) {
    return std::unexpected(DatabaseError{"25P02", "current transaction is aborted", ""});
  } else if (is("COMMIT")) {
    commit();
  } else if (is("SAVEPOINT")) {
    savepoint_ = working_;
  } else if (is("UPDATE wellhead_progress")) {
    step_.rows_updated = move_progress(text);
  } else if (is("INSERT INTO wellhead_progress")) {
    insert_progress(text);
  } else if (is("DELETE FROM wellhead_progress")) {
    delete_progress(text);
  } else if (is("INSERT INTO wellhead_device_baselines")) {
    return save_baselines(text);
  } else if (is("SET LOCAL synchronous_commit = on")) {
    synchronous_here_ = true;
  } else {
    WELLHEAD_ASSERT(is("SELECT pg_advisory") || is("SET ") || is("RELEASE "));
  }
  return {};
}

DatabaseResult<void> SimulatedServer::copy_data(std::span<const std::byte> bytes) {
  if (!connected() || !store_->up) return std::unexpected(broken());
  return call<void>([&]() -> DatabaseResult<void> {
    copy_bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  });
}

DatabaseResult<void> SimulatedServer::finish_copy() {
  ++copies;
  const std::vector<std::string> rows = tuples_of(copy_bytes_);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!refuses(rows[row])) continue;
    std::string context;
    if (hint == LineHint::right) context = "COPY t, line " + std::to_string(row + 1);
    if (hint == LineHint::lying) context = "COPY t, line " + std::to_string(rows.size() - row);
    return std::unexpected(DatabaseError{"23514", "refused", context});
  }
  auto& table = working_.tables[copy_table_];
  table.insert(table.end(), rows.begin(), rows.end());
  step_.rows_copied = rows.size();
  return {};
}

DatabaseResult<DatabaseStep> SimulatedServer::copy_end() {
  if (!connected() || !store_->up) return std::unexpected(broken());
  return call<DatabaseStep>([this]() -> DatabaseResult<DatabaseStep> {
    if (auto done = finish_copy(); !done) {
      statements_left_.clear();
      failed_ = true;
      return std::unexpected(done.error());
    }
    return go_on();
  });
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
  DatabaseRows rows;
  for (const SchemaPointer& schema : schemas_) {
    if (query.find(sql_literal(schema->quoted_table())) == std::string_view::npos) continue;
    for (const ColumnConfig& column : schema->columns())
      rows.push_back({column.name, std::string(sql_type_name(column.type)), "f", "f", "f", "t"});
  }
  return rows;
}

DatabaseResult<DatabaseRows> SimulatedServer::query(std::string_view statements) {
  if (!connected() || !store_->up) return std::unexpected(broken());
  return call<DatabaseRows>([&]() -> DatabaseResult<DatabaseRows> {
    if (statements == "SELECT current_user") return DatabaseRows{{"simulated"}};
    if (statements.starts_with("SELECT a.attname")) return columns_of(statements);
    if (statements.starts_with("SELECT true AND has_table_privilege")) return DatabaseRows{{"t"}};
    DatabaseRows rows;
    for (const std::string& text : split(statements)) {
      if (text.ends_with("FOR UPDATE"))
        rows = select_progress(text);
      else if (text.starts_with("SELECT wanted.number"))
        rows = select_baselines(text);
      else if (auto done = statement(text); !done)
        return std::unexpected(done.error());
    }
    return rows;
  });
}

}  // namespace wellhead::test
