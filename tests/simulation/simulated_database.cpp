#include "tests/simulation/simulated_database.hpp"

#include <algorithm>
#include <charconv>
#include <ranges>
#include <string_view>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"

namespace wellhead::simulation {
namespace {

constexpr std::size_t log_kept =
    4'096;  // transactions a crash or a failover may forget; far above what a run has

std::vector<std::string> split(std::string_view statements) {
  std::vector<std::string> parts;
  while (!statements.empty()) {
    const std::size_t end = statements.find("; ");
    parts.emplace_back(statements.substr(0, end));
    statements = end == std::string_view::npos ? std::string_view() : statements.substr(end + 2);
  }
  return parts;
}

// The numbers of (1, 2, 3), (4, 5, 6), … behind VALUES, up to the bracket that closes the list.
std::vector<std::vector<std::uint64_t>> values_in(std::string_view statement) {
  std::vector<std::vector<std::uint64_t>> lists;
  std::size_t at = statement.find("(VALUES ");
  if (at == std::string_view::npos) at = statement.find("VALUES ");
  WELLHEAD_ASSERT(at != std::string_view::npos);
  at = statement.find("VALUES ", at) + 7;
  while (at < statement.size() && statement[at] == '(') {
    const std::size_t end = statement.find(')', at);
    auto& numbers = lists.emplace_back();
    const char* next = statement.data() + at + 1;
    const char* const last = statement.data() + end;
    while (next < last) {
      std::uint64_t number = 0;
      const auto [behind, error] = std::from_chars(next, last, number);
      WELLHEAD_ASSERT(error == std::errc{});
      numbers.push_back(number);
      next = std::find_if(behind, last, [](char byte) { return byte == ','; });
      while (next < last && (*next == ',' || *next == ' ')) ++next;
    }
    at = statement.find_first_not_of(", ", end + 1);
  }
  return lists;
}

LaneId lane_in(const std::vector<std::uint64_t>& numbers) {
  WELLHEAD_ASSERT(numbers.size() >= 3);
  return {static_cast<std::uint32_t>(numbers[0]), static_cast<std::uint32_t>(numbers[1]),
          static_cast<std::uint32_t>(numbers[2])};
}

// Field `wanted` of every tuple of a COPY BINARY stream, a bigint.
std::vector<std::int64_t> ids_in(const std::string& stream, std::uint32_t wanted) {
  WELLHEAD_ASSERT(stream.starts_with(copy_binary::header) && stream.ends_with(copy_binary::trailer));
  std::vector<std::int64_t> ids;
  const auto* bytes = reinterpret_cast<const std::byte*>(stream.data());
  std::size_t at = copy_binary::header.size();
  while (at < stream.size() - copy_binary::trailer.size()) {
    const auto fields = copy_binary::get<std::uint16_t>(bytes + at);
    at += copy_binary::tuple_header_bytes;
    for (std::uint16_t field = 0; field < fields; ++field) {
      const auto length = copy_binary::get<std::uint32_t>(bytes + at);
      at += copy_binary::field_header_bytes;
      if (field == wanted)
        ids.push_back(static_cast<std::int64_t>(copy_binary::get<std::uint64_t>(bytes + at)));
      at += static_cast<std::int32_t>(length) < 0 ? 0 : length;
    }
  }
  return ids;
}

}  // namespace

bool Server::chance(double probability) {
  return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
}

void Server::commit(Transaction transaction) {
  for (const std::int64_t id : transaction.ids) ++rows_[id];
  for (const LaneId lane : transaction.lanes_added) progress_.emplace(lane, 0);
  for (const Transaction::Move& move : transaction.moves) progress_[move.lane] = move.to;
  log_.push_back(std::move(transaction));
  WELLHEAD_ASSERT(log_.size() <= log_kept);
}

void Server::undo_last() {
  const Transaction& last = log_.back();
  for (const std::int64_t id : last.ids)
    if (--rows_[id] == 0) rows_.erase(id);
  if (!progress_outside_transaction) {
    for (const Transaction::Move& move : last.moves) progress_[move.lane] = move.from;
    for (const LaneId lane : last.lanes_added) progress_.erase(lane);
  }
  log_.pop_back();
}

void Server::crash() {
  ++incarnation_;
  const auto durable =
      std::ranges::find_if(log_ | std::views::reverse, &Transaction::durable).base() - log_.begin();
  const std::size_t kept =
      static_cast<std::size_t>(durable) + below(log_.size() - static_cast<std::size_t>(durable) + 1);
  while (log_.size() > kept) undo_last();
}

void Server::fail_over(std::size_t transactions_max) {
  crash();
  for (std::size_t count = below(transactions_max + 1); count > 0 && !log_.empty(); --count) undo_last();
}

std::uint64_t Server::count_of(std::int64_t id) const {
  const auto found = rows_.find(id);
  return found == rows_.end() ? 0 : found->second;
}

namespace {

class Connection final : public Database {
 public:
  Connection(Server& server, std::vector<SchemaPointer> streams, std::uint32_t id_field)
      : server_(server), streams_(std::move(streams)), id_field_(id_field) {}

  void interrupt_with(const std::atomic<bool>*) noexcept override {}
  void on_notice(std::function<void(const DatabaseNotice&)>) override {}
  DatabaseResult<void> connect() override;
  void disconnect() noexcept override;
  bool connected() const noexcept override { return connected_; }
  bool in_transaction() const noexcept override { return in_transaction_; }
  bool alive() override { return connected_ && server_.up && incarnation_ == server_.incarnation(); }
  DatabaseResult<DatabaseStep> run(std::string_view statements) override;
  DatabaseResult<void> copy_data(std::span<const std::byte> bytes) override;
  DatabaseResult<DatabaseStep> copy_end() override;
  DatabaseResult<DatabaseRows> query(std::string_view statements) override;

 private:
  template <typename Value, typename Effect>
  DatabaseResult<Value> call(Effect&& effect);
  DatabaseResult<DatabaseStep> go_on();
  DatabaseResult<void> statement(const std::string& text);
  void move(const std::string& text);
  void select(const std::string& text);
  void end_transaction();
  [[nodiscard]] DatabaseRows columns_of(std::string_view query) const;
  [[nodiscard]] DatabaseError broken();

  Server& server_;
  const std::vector<SchemaPointer> streams_;
  const std::uint32_t id_field_;
  std::uint64_t incarnation_ = 0;
  bool connected_ = false;
  bool in_transaction_ = false;
  bool failed_ = false;
  Transaction transaction_;
  std::vector<std::string> statements_left_;
  std::string copy_bytes_;
  DatabaseStep step_;
  DatabaseRows rows_;
};

DatabaseError Connection::broken() {
  disconnect();
  return {"", "the connection broke", ""};
}

void Connection::disconnect() noexcept {
  connected_ = false;
  end_transaction();
  statements_left_.clear();
}

void Connection::end_transaction() {
  in_transaction_ = failed_ = false;
  transaction_ = {};
  copy_bytes_.clear();
}

template <typename Value, typename Effect>
DatabaseResult<Value> Connection::call(Effect&& effect) {
  if (!alive()) return std::unexpected(broken());
  if (server_.chance(server_.faults.breaks)) {
    if (server_.chance(0.5)) (void)effect();
    return std::unexpected(broken());
  }
  if (in_transaction_ && server_.chance(server_.faults.serialization)) {
    failed_ = true;
    statements_left_.clear();
    return std::unexpected(DatabaseError{"40001", "could not serialize access", ""});
  }
  return effect();
}

DatabaseResult<void> Connection::connect() {
  disconnect();
  if (!server_.up) return std::unexpected(broken());
  incarnation_ = server_.incarnation();
  connected_ = true;
  return call<void>([]() -> DatabaseResult<void> { return {}; });
}

DatabaseResult<DatabaseStep> Connection::run(std::string_view statements) {
  return call<DatabaseStep>([&] {
    statements_left_ = split(statements);
    return go_on();
  });
}

DatabaseResult<DatabaseStep> Connection::go_on() {
  step_ = {};
  while (!statements_left_.empty()) {
    const std::string text = statements_left_.front();
    statements_left_.erase(statements_left_.begin());
    if (text.starts_with("COPY ")) {
      WELLHEAD_ASSERT(in_transaction_ && !failed_);
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

DatabaseResult<void> Connection::statement(const std::string& text) {
  const auto is = [&text](std::string_view start) { return text.starts_with(start); };
  step_.command_tag = text;
  if (is("BEGIN")) {
    WELLHEAD_ASSERT(!in_transaction_);
    in_transaction_ = true;
  } else if (is("ROLLBACK")) {
    end_transaction();
  } else if (failed_) {
    return std::unexpected(DatabaseError{"25P02", "current transaction is aborted", ""});
  } else if (is("COMMIT")) {
    server_.commit(std::move(transaction_));
    end_transaction();
  } else if (is("SET LOCAL synchronous_commit = on")) {
    transaction_.durable = true;
  } else if (is("UPDATE wellhead_progress")) {
    move(text);
  } else if (is("INSERT INTO wellhead_progress")) {
    for (const auto& numbers : values_in(text))
      if (!server_.progress().contains(lane_in(numbers)))
        transaction_.lanes_added.push_back(lane_in(numbers));
  } else if (is("SELECT epoch")) {
    select(text);
  } else {
    WELLHEAD_ASSERT(is("SELECT pg_advisory") || is("SET ") || is("DELETE FROM wellhead_progress"));
  }
  return {};
}

void Connection::move(const std::string& text) {
  step_.rows_updated = 0;
  for (const auto& numbers : values_in(text)) {
    WELLHEAD_ASSERT(numbers.size() == 5);
    const LaneId lane = lane_in(numbers);
    const auto found = server_.progress().find(lane);
    if (found == server_.progress().end() || found->second != numbers[3]) continue;
    ++step_.rows_updated;
    transaction_.moves.push_back({lane, numbers[3], numbers[4]});
    if (server_.progress_outside_transaction) found->second = numbers[4];
  }
}

void Connection::select(const std::string& text) {
  rows_.clear();
  for (const auto& numbers : values_in(text)) {
    const LaneId lane = lane_in(numbers);
    const auto found = server_.progress().find(lane);
    const std::uint64_t sequence = found == server_.progress().end() ? 0 : found->second;
    rows_.push_back({std::to_string(lane.epoch), std::to_string(lane.reactor), std::to_string(lane.shard),
                     std::to_string(sequence)});
  }
}

DatabaseResult<void> Connection::copy_data(std::span<const std::byte> bytes) {
  return call<void>([&]() -> DatabaseResult<void> {
    copy_bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  });
}

DatabaseResult<DatabaseStep> Connection::copy_end() {
  return call<DatabaseStep>([this]() -> DatabaseResult<DatabaseStep> {
    const std::vector<std::int64_t> ids = ids_in(copy_bytes_, id_field_);
    transaction_.ids.insert(transaction_.ids.end(), ids.begin(), ids.end());
    return go_on();
  });
}

DatabaseRows Connection::columns_of(std::string_view query) const {
  DatabaseRows rows;
  const auto add = [&rows](const std::string& name, std::string_view type) {
    rows.push_back({name, std::string(type), "f", "f", "f", "t"});
  };
  if (query.find("'wellhead_progress'") != std::string_view::npos) {
    for (const char* number : {"epoch", "reactor", "shard"}) add(number, "integer");
    add("journal_id", "uuid");
    add("node_id", "text");
    add("sequence", "bigint");
    add("updated_at", "timestamp with time zone");
    return rows;
  }
  for (const SchemaPointer& stream : streams_) {
    if (query.find(sql_literal(stream->quoted_table())) == std::string_view::npos) continue;
    for (const ColumnConfig& column : stream->columns()) add(column.name, sql_type_name(column.type));
  }
  return rows;
}

DatabaseResult<DatabaseRows> Connection::query(std::string_view statements) {
  return call<DatabaseRows>([&]() -> DatabaseResult<DatabaseRows> {
    if (statements == "SELECT current_user") return DatabaseRows{{"simulated"}};
    if (statements.starts_with("SELECT a.attname")) return columns_of(statements);
    if (statements.find("has_table_privilege(") != std::string_view::npos) return DatabaseRows{{"t"}};
    statements_left_ = split(statements);
    if (auto done = go_on(); !done) return std::unexpected(done.error());
    return rows_;
  });
}

}  // namespace

std::unique_ptr<Database> connect_to(Server& server, std::vector<SchemaPointer> streams,
                                     std::uint32_t id_field) {
  return std::make_unique<Connection>(server, std::move(streams), id_field);
}

}  // namespace wellhead::simulation
