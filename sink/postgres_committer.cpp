#include "sink/postgres_committer.hpp"

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "sink/catalog.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

// One lock for all nodes of a database: "well" as a number, and what it is for.
constexpr std::string_view chunk_lock = "SELECT pg_advisory_xact_lock(2003135596, 1); ";

// How long a new connection waits for the end of an old one's transaction before it says so and tries again.
constexpr std::string_view resume_lock_timeout = "10s";

constexpr std::string_view lock_not_available = "55P03";

std::string explain(const DatabaseError& error) {
  return error.sqlstate.empty() ? error.message : error.message + " (SQLSTATE " + error.sqlstate + ")";
}

// The sentence for what the server refuses outright.
std::string explain_blocked(const DatabaseError& error) {
  const std::string_view error_class = std::string_view(error.sqlstate).substr(0, 2);
  std::string advice = "check the tables and the rights of the role with `wellhead check`";
  if (error_class == "28") advice = "check the user, its password and pg_hba.conf";
  if (error_class == "3D") advice = "create the database, or change the connection to one that exists";
  return "the database refuses: " + explain(error) + "; " + advice;
}

std::string joined(const std::vector<std::string>& sentences) {
  constexpr std::size_t shown_max = 8;
  std::string text;
  for (std::size_t index = 0; index < sentences.size() && index < shown_max; ++index) {
    if (index > 0) text += "; ";
    text += sentences[index];
  }
  if (sentences.size() > shown_max) text += "; and " + std::to_string(sentences.size() - shown_max) + " more";
  return text;
}

// COMMIT of a failed transaction is no error for the server: it answers ROLLBACK.
DatabaseResult<void> require_commit(const DatabaseStep& step) {
  if (step.command_tag == "COMMIT") return {};
  return std::unexpected(DatabaseError{"", "the database answered COMMIT with " + step.command_tag, ""});
}

std::uint64_t number_in(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  WELLHEAD_ASSERT(error == std::errc{});
  return number;
}

}  // namespace

PostgresCommitter::PostgresCommitter(std::unique_ptr<Database> database, const std::string& node_id,
                                     std::uint32_t shard, std::vector<SchemaPointer> streams)
    : database_(std::move(database)),
      node_id_(node_id),
      progress_key_(" WHERE node_id = " + sql_literal(node_id) + " AND shard = " + std::to_string(shard)),
      shard_(shard),
      streams_(std::move(streams)),
      notices_(shard),
      flush_(streams_) {
  database_->on_notice([this](const DatabaseNotice& notice) {
    if (stats_ != nullptr) stats_->server_warnings.add();
    notices_.add(notice);
  });
}

void PostgresCommitter::drop_connection() {
  if (prepared_ && stats_ != nullptr) stats_->disconnects.add();
  prepared_ = false;
  chunk_guard_.forget();
  database_->disconnect();
}

bool PostgresCommitter::prepare(const std::atomic<bool>& stopping, ShardState& state, std::string& problem) {
  if (prepared_ && database_->connected()) return true;
  drop_connection();
  database_->interrupt_with(&stopping);
  Step step;
  if (auto connected = database_->connect(); !connected) {
    const ErrorKind kind = classify_sqlstate(connected.error().sqlstate);
    step =
        std::unexpected(Failure{kind, kind == ErrorKind::operator_needed ? explain_blocked(connected.error())
                                                                         : explain(connected.error())});
  }
  if (step) step = check_streams();
  if (step) step = resume();
  if (step) {
    prepared_ = true;
    if (stats_ != nullptr) stats_->connects.add();
    return true;
  }
  database_->disconnect();
  state = step.error().kind == ErrorKind::operator_needed ? ShardState::blocked : ShardState::disconnected;
  problem = std::move(step.error().problem);
  return false;
}

PostgresCommitter::Step PostgresCommitter::check_streams() {
  auto problems = check_catalog(*database_, streams_);
  if (!problems)
    return std::unexpected(Failure{classify_sqlstate(problems.error().sqlstate), explain(problems.error())});
  if (problems->empty()) return {};
  return std::unexpected(Failure{ErrorKind::operator_needed, joined(*problems)});
}

PostgresCommitter::Step PostgresCommitter::resume() {
  const std::string table(progress_table);
  auto rows = database_->query(
      "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '" + std::string(resume_lock_timeout) +
      "'; INSERT INTO " + table + " (node_id, shard, sequence, updated_at) VALUES (" + sql_literal(node_id_) +
      ", " + std::to_string(shard_) + ", 0, now()) ON CONFLICT (node_id, shard) DO NOTHING; " +
      "SELECT GREATEST(sequence, 0) FROM " + table + progress_key_ + " FOR UPDATE; COMMIT");
  if (!rows) {
    const DatabaseError& error = rows.error();
    if (error.sqlstate == lock_not_available)
      return std::unexpected(Failure{ErrorKind::retry,
                                     "an earlier connection's transaction has not ended yet; waiting "
                                     "for it, because it may still commit"});
    return std::unexpected(Failure{classify_sqlstate(error.sqlstate), explain(error)});
  }
  WELLHEAD_ASSERT(rows->size() == 1 && rows->front().size() == 1 && rows->front()[0]);
  return resolve(number_in(*rows->front()[0]));
}

PostgresCommitter::Step PostgresCommitter::resolve(std::uint64_t found) {
  if (sequence_ && found < *sequence_)
    log::error(
        "the database's progress went back: rows that were acknowledged are missing from it; it was restored "
        "from a backup, or a replica that lagged took over",
        {{"shard", shard_}, {"sequence_known", *sequence_}, {"sequence_found", found}});
  if (unresolved_ && found > unresolved_->sequence)
    return std::unexpected(Failure{ErrorKind::operator_needed,
                                   "another node writes under the name \"" + node_id_ +
                                       "\", so it cannot be told whether this node's last rows are stored: "
                                       "give each node its own node id; "
                                       "these rows are not acknowledged, and this node must be restarted"});
  if (unresolved_ && found == unresolved_->sequence) resolved_committed_ = true;
  if (unresolved_ && found < unresolved_->sequence) unresolved_.reset();
  sequence_ = found;
  return {};
}

// The first statements of every flush's transaction.
std::string PostgresCommitter::opening() const {
  std::string statements = "BEGIN ISOLATION LEVEL READ COMMITTED; ";
  if (!chunks_known_) statements += chunk_lock;
  const std::string previous = std::to_string(*sequence_);
  const std::string next = std::to_string(*sequence_ + 1);
  statements += "UPDATE " + std::string(progress_table) + " SET sequence = " + next + ", updated_at = now()" +
                progress_key_ + " AND sequence = " + previous + "; ";
  return statements;
}

DatabaseResult<void> PostgresCommitter::take_progress(const DatabaseStep& step) {
  if (step.rows_updated == 1) return {};
  // Dropping the connection rolls back what this transaction has done so far, which is nothing.
  database_->disconnect();
  return std::unexpected(
      DatabaseError{"",
                    "another node writes under the name \"" + node_id_ +
                        "\", or the progress row was changed by hand: give each node its own id",
                    ""});
}

DatabaseResult<void> PostgresCommitter::commit_fast() {
  std::string statements = opening();
  std::size_t copies_left = 0;
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    if (flush_.rows(stream).empty()) continue;
    statements += streams_[stream]->copy_statement() + "; ";
    ++copies_left;
  }
  statements += "COMMIT";
  bad_stream_ = 0;
  auto step = database_->run(statements);
  if (step)
    if (auto taken = take_progress(*step); !taken) return taken;
  for (std::size_t stream = 0; step && stream < streams_.size(); ++stream) {
    const auto rows = flush_.rows(stream);
    if (rows.empty()) continue;
    bad_stream_ = stream;
    WELLHEAD_ASSERT(step->copying);
    auto sent = copy_stream_.send(*database_, rows);
    if (!sent) return std::unexpected(sent.error());
    bytes_ += *sent;
    // From here on the COMMIT may happen without this side hearing of it.
    if (--copies_left == 0) unresolved_ = Unresolved{*sequence_ + 1, {}, bytes_};
    step = database_->copy_end();
  }
  if (!step) return std::unexpected(step.error());
  return require_commit(*step);
}

DatabaseResult<void> PostgresCommitter::commit_salvaging() {
  refusals_.clear();
  auto step = database_->run(opening() + std::string(Salvage::preparation));
  if (!step) return std::unexpected(step.error());
  if (auto taken = take_progress(*step); !taken) return taken;
  Salvage salvage(*database_);
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    const auto rows = flush_.rows(stream);
    const auto line = stream == bad_stream_ ? bad_line_ : std::nullopt;
    if (auto put = salvage.put(*streams_[stream], rows, line, refusals_); !put) return put;
  }
  unresolved_ = Unresolved{*sequence_ + 1, refusals_, salvage.bytes_copied()};
  step = database_->run("COMMIT");
  if (!step) return std::unexpected(step.error());
  return require_commit(*step);
}

void PostgresCommitter::roll_back() {
  // The server has answered: whatever was open is known to be not committed.
  unresolved_.reset();
  if (!database_->in_transaction()) return;
  [[maybe_unused]] const auto done =
      database_->run("ROLLBACK");  // where it fails, the connection is gone as well
}

FlushOutcome PostgresCommitter::commit(std::span<Batch* const> batches, const std::atomic<bool>& stopping,
                                       std::string& problem) {
  WELLHEAD_ASSERT(prepared_ && sequence_);
  database_->interrupt_with(&stopping);
  flush_.assign(batches);
  if (resolved_committed_) return committed(batches);
  if (flush_.row_count() == 0) return FlushOutcome::committed;
  chunks_known_ = chunk_guard_.knows(flush_);
  bytes_ = 0;
  auto done = commit_fast();
  if (!done && database_->connected() &&
      classify_sqlstate(done.error().sqlstate) == ErrorKind::rows_refused) {
    bad_line_ = copy_line_from(done.error().context);
    roll_back();
    done = commit_salvaging();
  }
  if (!done) return failed(done.error(), problem);
  return committed(batches);
}

FlushOutcome PostgresCommitter::committed(std::span<Batch* const> batches) {
  WELLHEAD_ASSERT(unresolved_);
  std::ranges::sort(unresolved_->refusals, {}, &Refusal::arrival);
  for (Refusal& refusal : unresolved_->refusals) {
    const Flush::Place place = flush_.place_of(refusal.arrival);
    Batch& batch = *batches[place.batch];
    batch.refused().push_back(
        {place.row, refusal.record_index, std::move(refusal.sqlstate), std::move(refusal.message)});
  }
  if (stats_ != nullptr) stats_->bytes_committed.add(unresolved_->bytes);
  sequence_ = unresolved_->sequence;
  unresolved_.reset();
  resolved_committed_ = false;
  chunk_guard_.remember();
  return FlushOutcome::committed;
}

FlushOutcome PostgresCommitter::failed(const DatabaseError& error, std::string& problem) {
  if (database_->connected()) roll_back();
  const bool blocked = classify_sqlstate(error.sqlstate) == ErrorKind::operator_needed;
  problem = blocked ? explain_blocked(error) : explain(error);
  // A new connection checks the catalog again, and its sentence says best what is wrong.
  drop_connection();
  return blocked ? FlushOutcome::blocked : FlushOutcome::retry;
}

bool PostgresCommitter::idle_check() {
  if (prepared_ && database_->alive()) return true;
  drop_connection();
  return false;
}

std::unique_ptr<Committer> make_postgres_committer(const PostgresOptions& options, std::uint32_t shard,
                                                   std::vector<SchemaPointer> streams) {
  auto database = std::make_unique<PgDatabase>(options, "wellhead/shard-" + std::to_string(shard));
  return std::make_unique<PostgresCommitter>(std::move(database), options.node_id, shard, std::move(streams));
}

}  // namespace wellhead
