#include "sink/postgres_committer.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "sink/catalog.hpp"
#include "sink/catalog_checks.hpp"
#include "sink/pg_database.hpp"

namespace wellhead {
namespace {

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

constexpr std::string_view synchronous = "SET LOCAL synchronous_commit = on; ";

// What has to make room in the scorer's memory can be many baselines: beyond this they go in messages of
// their own, so that no message needs memory without bound.
constexpr std::size_t opening_bytes_max = 4U << 20;

}  // namespace

PostgresCommitter::PostgresCommitter(std::unique_ptr<Database> database, CommitterSetup setup)
    : database_(std::move(database)),
      shard_(setup.shard),
      streams_(std::move(setup.streams)),
      streams_in_use_(std::min(setup.streams_in_use, streams_.size())),
      progress_(std::move(setup.owner)),
      asynchronous_(setup.synchronous_commit == "off"),
      dead_letter_(std::move(setup.dead_letter)),
      notices_(shard_),
      flush_(streams_),
      scoring_(std::move(setup.scorer), streams_, streams_in_use_),
      direct_compress_(setup.direct_compress) {
  database_->on_notice([this](const DatabaseNotice& notice) { take_notice(notice); });
}

// A table that was found fit and is not: somebody has changed it since. The next connection looks again. What
// a table's own switch has the server try, nobody here has asked for.
void PostgresCommitter::take_notice(const DatabaseNotice& notice) {
  if (stats_ != nullptr) stats_->server_warnings.add();
  notices_.add(notice);
  if (!DirectCompress::says_skipped(notice) || notice.copies_ended >= copied_streams_.size()) return;
  const std::size_t stream = copied_streams_[notice.copies_ended];
  if (!direct_compress_.chosen(stream)) return;
  if (stats_ != nullptr) stats_->direct_compress_skipped.add();
  log::warning(
      "the database was asked to compress rows on their way in and stores them as rows; nothing is lost, its "
      "policy compresses them later, and this connection does not ask again",
      {{"shard", shard_}, {"table", streams_[stream]->config().table}, {"notice", notice.message}});
  direct_compress_.skipped(stream);
}

void PostgresCommitter::attach(ShardStats& stats) {
  stats_ = &stats;
  scoring_.attach(stats);
}

void PostgresCommitter::drop_connection() {
  if (prepared_ && stats_ != nullptr) stats_->disconnects.add();
  prepared_ = false;
  chunk_guard_.forget();
  compressed_chunk_guard_.forget();
  database_->disconnect();
}

bool PostgresCommitter::prepare(std::span<LaneProgress> lanes, const std::atomic<bool>& stopping,
                                ShardState& state, std::string& problem) {
  database_->interrupt_with(&stopping);
  Step step;
  const bool connects = !prepared_ || !database_->connected();
  if (connects) {
    drop_connection();
    step = connect();
    if (step) step = check_streams();
  }
  if (step) step = read_progress(lanes);
  if (step) {
    // From here on no earlier transaction can move a lane: a flush in doubt is what it is.
    scoring_.resolve(lanes);
    prepared_ = true;
    if (connects && stats_ != nullptr) stats_->connects.add();
    return true;
  }
  drop_connection();
  state = step.error().kind == ErrorKind::operator_needed ? ShardState::blocked : ShardState::disconnected;
  problem = std::move(step.error().problem);
  return false;
}

PostgresCommitter::Step PostgresCommitter::connect() {
  const auto connected = database_->connect();
  if (connected) return {};
  const ErrorKind kind = classify_sqlstate(connected.error().sqlstate);
  return std::unexpected(Failure{kind, kind == ErrorKind::operator_needed ? explain_blocked(connected.error())
                                                                          : explain(connected.error())});
}

PostgresCommitter::Step PostgresCommitter::check_streams() {
  const auto failed = [](const DatabaseError& error) {
    return std::unexpected(Failure{classify_sqlstate(error.sqlstate), explain(error)});
  };
  const auto found =
      check_catalog(*database_, std::span(streams_).first(streams_in_use_), scoring_.enabled());
  if (!found) return failed(found.error());
  if (!found->problems.empty())
    return std::unexpected(Failure{ErrorKind::operator_needed, joined(found->problems)});
  has_chunks_ = found->has_chunks;
  if (const auto looked = look_at_tables(*found); !looked) return failed(looked.error());
  if (const auto warned = warn_of_narrower_checks(); !warned) return failed(warned.error());
  return {};
}

// They hold up no row: salvage finds the ones they refuse. One shard tells for all, and nothing twice.
DatabaseResult<void> PostgresCommitter::warn_of_narrower_checks() {
  if (shard_ != 0) return {};
  auto found = find_narrower_checks(*database_, std::span(streams_).first(streams_in_use_));
  if (!found) return std::unexpected(found.error());
  if (*found == narrower_checks_) return {};
  for (const std::string& sentence : *found) log::warning(sentence);
  narrower_checks_ = std::move(*found);
  return {};
}

// Of all streams: rows of earlier runs change aggregates as well, and are what is caught up with.
DatabaseResult<void> PostgresCommitter::look_at_tables(const CatalogReport& catalog) {
  invalidations_.tell_of({});
  direct_compress_.allow({});
  if (catalog.has_invalidation_log) {
    auto told = find_aggregated_streams(*database_, streams_);
    if (!told) return std::unexpected(told.error());
    invalidations_.tell_of(std::move(*told));
  }
  if (catalog.has_direct_compress && direct_compress_.wanted()) {
    auto compressible = find_compressible_streams(*database_, streams_);
    if (!compressible) return std::unexpected(compressible.error());
    direct_compress_.allow(std::move(*compressible));
  }
  return {};
}

PostgresCommitter::Step PostgresCommitter::read_progress(std::span<LaneProgress> lanes) {
  std::string statements = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '" +
                           std::string(resume_lock_timeout) + "'; ";
  if (asynchronous_) statements += synchronous;
  // One shard does it for all: the garbage is nobody's any more.
  if (shard_ == 0) statements += progress_.delete_statement() + "; ";
  auto rows = database_->query(statements + progress_.insert_statement(lanes) + "; " +
                               progress_.select_statement(lanes) + "; COMMIT");
  if (rows) {
    ProgressTable::read(*rows, lanes);
    return {};
  }
  const DatabaseError& error = rows.error();
  if (error.sqlstate == lock_not_available)
    return std::unexpected(Failure{ErrorKind::retry,
                                   "an earlier connection's transaction has not ended yet; waiting "
                                   "for it, because it may still commit"});
  const ErrorKind kind = classify_sqlstate(error.sqlstate);
  return std::unexpected(
      Failure{kind, kind == ErrorKind::operator_needed ? explain_blocked(error) : explain(error)});
}

// Where chunks are made ahead of time, the one that is to be compressed is there, and whoever compresses
// first into it still locks it as if it were new: so there is nothing to look for then.
std::string PostgresCommitter::chunk_lock() const {
  if (!compressed_chunks_known_) return ChunkGuard::unconditional_lock_statement();
  return chunks_known_ ? "" : chunk_guard_.lock_statement(streams_);
}

std::string PostgresCommitter::begin(const FlushOrder& order) const {
  std::string statements = "BEGIN ISOLATION LEVEL READ COMMITTED; ";
  if (asynchronous_ && order.durable) statements += synchronous;
  if (has_chunks_) statements += chunk_lock();
  if (!invalidations_.statement().empty()) statements += invalidations_.statement() + "; ";
  return statements;
}

// The first statements of every flush's transaction; the last of them moves the progress.
std::string PostgresCommitter::opening(const FlushOrder& order) const {
  return begin(order) + progress_.move_statement(order.moves);
}

// What is told and the baselines come before the progress, whose number of rows is what the caller looks at.
DatabaseResult<std::string> PostgresCommitter::opening_with_baselines(const FlushOrder& order) {
  std::string statements = begin(order);
  for (const std::string& save : scoring_.saves()) {
    if (statements.size() + save.size() > opening_bytes_max && !statements.empty()) {
      if (auto step = database_->run(statements); !step) return std::unexpected(step.error());
      statements.clear();
    }
    statements += save + "; ";
  }
  return statements + progress_.move_statement(order.moves);
}

DatabaseResult<void> PostgresCommitter::take_progress(const DatabaseStep& step, const FlushOrder& order) {
  if (step.rows_updated == order.moves.size()) return {};
  foreign_writer_ = true;
  // Dropping the connection rolls back what this transaction has done so far, which is nothing.
  database_->disconnect();
  return std::unexpected(DatabaseError{"",
                                       "another process moves the progress of this node's journal in "
                                       "wellhead_progress, or it was changed by hand; nothing was stored, so "
                                       "that no row is stored twice; stop the other process, and restart "
                                       "this node",
                                       ""});
}

// Behind the reply to its first statements this transaction holds its progress rows, so that a connection
// that takes over waits for its end. A COMMIT in the same message could happen behind the other's back.
DatabaseResult<void> PostgresCommitter::commit_moves(const FlushOrder& order) {
  auto step = database_->run(opening(order));
  if (!step) return std::unexpected(step.error());
  if (auto taken = take_progress(*step, order); !taken) return taken;
  return commit_opened();
}

DatabaseResult<void> PostgresCommitter::commit_opened() {
  committing_ = true;
  auto step = database_->run("COMMIT");
  if (!step) return std::unexpected(step.error());
  return require_commit(*step);
}

// Scores once, whatever way the rows then go.
DatabaseResult<void> PostgresCommitter::commit_scored(const FlushOrder& order) {
  if (auto scored = scoring_.score(*database_, flush_); !scored) return scored;
  return commit_fast(order);
}

DatabaseResult<void> PostgresCommitter::commit_fast(const FlushOrder& order) {
  bad_stream_ = 0;
  auto opened = opening_with_baselines(order);
  if (!opened) return std::unexpected(opened.error());
  std::string statements = std::move(*opened);
  copied_streams_.clear();
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    if (flush_.rows(stream).empty()) continue;
    statements += "; ";
    statements += direct_compress_.before_copy(stream);
    statements += streams_[stream]->copy_statement();
    statements += direct_compress_.after_copy(stream);
    copied_streams_.push_back(stream);
  }
  std::size_t copies_left = copied_streams_.size();
  auto step = database_->run(statements + "; COMMIT");
  if (step)
    if (auto taken = take_progress(*step, order); !taken) return taken;
  for (std::size_t stream = 0; step && stream < streams_.size(); ++stream) {
    const auto rows = flush_.rows(stream);
    if (rows.empty()) continue;
    bad_stream_ = stream;
    WELLHEAD_ASSERT(step->copying);
    auto sent = copy_stream_.send(*database_, rows);
    if (!sent) return std::unexpected(sent.error());
    bytes_ += *sent;
    // From here on the COMMIT may happen without this side hearing of it.
    committing_ = --copies_left == 0;
    step = database_->copy_end();
  }
  if (!step) return std::unexpected(step.error());
  return require_commit(*step);
}

DatabaseResult<void> PostgresCommitter::commit_salvaging(const FlushOrder& order) {
  refusals_.clear();
  direct_compress_.withdraw();
  copied_streams_.clear();
  auto step = database_->run(opening(order) + "; " + std::string(Salvage::preparation));
  if (!step) return std::unexpected(step.error());
  if (auto taken = take_progress(*step, order); !taken) return taken;
  Salvage salvage(*database_);
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    const auto rows = flush_.rows(stream);
    const auto line = stream == bad_stream_ ? bad_line_ : std::nullopt;
    if (auto put = salvage.put(*streams_[stream], rows, line, refusals_); !put) return put;
  }
  bytes_ = salvage.bytes_copied();
  tell_batches(order.batches);
  if (auto stored = store_dead_letters(order.batches); !stored) return stored;
  if (auto saved = save_baselines_apart(); !saved) return saved;
  return commit_opened();
}

// In the order of the rows, which is the order a batch's refused() is read in.
void PostgresCommitter::tell_batches(std::span<Batch* const> batches) {
  std::ranges::sort(refusals_, {}, &Refusal::arrival);
  for (const Refusal& refusal : refusals_) {
    const Flush::Place place = flush_.place_of(refusal.arrival);
    batches[place.batch]->refused().push_back(
        {place.row, refusal.header->record_index, refusal.sqlstate, refusal.message});
  }
}

DatabaseResult<void> PostgresCommitter::store_dead_letters(std::span<Batch* const> batches) {
  if (!dead_letter_.encode || refusals_.empty()) return {};
  std::vector<std::byte> tuples;
  std::vector<std::size_t> told(batches.size(), 0);
  for (const Refusal& refusal : refusals_) {
    const std::size_t batch = flush_.place_of(refusal.arrival).batch;
    const RefusedRow& row = batches[batch]->refused()[told[batch]++];
    dead_letter_.encode(row, *refusal.header, *streams_[refusal.header->stream], tuples);
  }
  auto step = database_->run(dead_letter_.copy_statement);
  if (!step) return std::unexpected(step.error());
  auto sent = copy_stream_.send(*database_, tuples);
  if (!sent) return std::unexpected(sent.error());
  step = database_->copy_end();
  if (!step) return std::unexpected(step.error());
  return {};
}

// Whether the database took it; where not, the transaction goes on as if it had not been tried.
DatabaseResult<bool> PostgresCommitter::save_if_taken(const std::string& save) {
  auto step = database_->run("SAVEPOINT baselines; " + save + "; RELEASE SAVEPOINT baselines");
  if (step) return true;
  const bool refused = classify_sqlstate(step.error().sqlstate) == ErrorKind::rows_refused;
  if (!refused || !database_->connected()) return std::unexpected(step.error());
  step = database_->run("ROLLBACK TO SAVEPOINT baselines");
  if (!step) return std::unexpected(step.error());
  return false;
}

// A baseline that the database refuses shall cost no row: with the fast way it could have been what failed.
// Nor shall it cost other devices theirs, so they are then saved one by one.
DatabaseResult<void> PostgresCommitter::save_baselines_apart() {
  bool all_taken = true;
  for (const std::string& save : scoring_.saves()) {
    const auto taken = save_if_taken(save);
    if (!taken) return std::unexpected(taken.error());
    all_taken = all_taken && *taken;
  }
  for (std::size_t device = 0; !all_taken && device < scoring_.saves_by_device(); ++device) {
    const std::string save = scoring_.save_of(device);
    if (save.empty()) continue;
    const auto taken = save_if_taken(save);
    if (!taken) return std::unexpected(taken.error());
    if (!*taken) scoring_.refused(device);
  }
  return {};
}

void PostgresCommitter::roll_back() {
  // The server has answered: whatever was open is known to be not committed.
  committing_ = false;
  if (!database_->in_transaction()) return;
  [[maybe_unused]] const auto done =
      database_->run("ROLLBACK");  // where it fails, the connection is gone as well
}

FlushReport PostgresCommitter::commit(const FlushOrder& order, const std::atomic<bool>& stopping) {
  WELLHEAD_ASSERT(prepared_ && !order.moves.empty());
  database_->interrupt_with(&stopping);
  flush_.assign(order.batches);
  direct_compress_.choose(flush_, order.batches, SystemClock().wall_us());
  chunks_known_ = chunk_guard_.knows(flush_);
  compressed_chunks_known_ = compressed_chunk_guard_.knows(flush_, direct_compress_.chosen());
  invalidations_.look_at(flush_);
  bytes_ = 0;
  committing_ = false;
  foreign_writer_ = false;
  auto done = flush_.row_count() == 0 ? commit_moves(order) : commit_scored(order);
  if (!done && database_->connected() &&
      classify_sqlstate(done.error().sqlstate) == ErrorKind::rows_refused) {
    bad_line_ = copy_line_from(done.error().context);
    roll_back();
    done = commit_salvaging(order);
  }
  if (!done) return failed(done.error(), order);
  committed();
  return {FlushOutcome::committed, bytes_, ""};
}

void PostgresCommitter::committed() {
  scoring_.committed();
  chunk_guard_.remember();
  if (!direct_compress_.any()) return;
  compressed_chunk_guard_.remember();
  for (std::size_t stream = 0; stats_ != nullptr && stream < streams_.size(); ++stream)
    if (direct_compress_.chosen(stream)) stats_->rows_compressed.add(flush_.rows(stream).size());
}

// What the flush has taught is kept as long as it may turn out to be committed: its baselines are then in the
// database, and later ones must build on them. Were it forgotten, the rows would never be learned, since they
// do not come again; were a flush that is not committed believed, they would be learned twice. In between
// only prepare() is called, which tells.
FlushReport PostgresCommitter::failed(const DatabaseError& error, const FlushOrder& order) {
  if (database_->connected()) roll_back();
  FlushReport report{FlushOutcome::retry, bytes_, explain(error)};
  if (committing_) {
    report.outcome = FlushOutcome::unknown;
    scoring_.doubted(order.moves);
  } else if (foreign_writer_) {
    report.outcome = FlushOutcome::blocked;
  } else if (classify_sqlstate(error.sqlstate) == ErrorKind::operator_needed) {
    report.outcome = FlushOutcome::blocked;
    report.problem = explain_blocked(error);
  }
  if (!committing_) scoring_.discarded();
  // A new connection checks the catalog again, and its sentence says best what is wrong.
  drop_connection();
  return report;
}

bool PostgresCommitter::idle_check() {
  if (prepared_ && database_->alive()) return true;
  drop_connection();
  return false;
}

DatabaseResult<void> PostgresCommitter::save_rest() {
  std::string statements = "BEGIN ISOLATION LEVEL READ COMMITTED; ";
  for (const std::string& save : scoring_.saves()) statements += save + "; ";
  auto step = database_->run(statements + "COMMIT");
  if (step) return require_commit(*step);
  if (classify_sqlstate(step.error().sqlstate) != ErrorKind::rows_refused || !database_->connected())
    return std::unexpected(step.error());
  roll_back();
  step = database_->run("BEGIN ISOLATION LEVEL READ COMMITTED");
  if (!step) return std::unexpected(step.error());
  if (auto saved = save_baselines_apart(); !saved) return saved;
  return commit_opened();
}

// All that is learned is of rows that are committed: what is in doubt or has failed since has dropped the
// connection.
void PostgresCommitter::finish(std::chrono::steady_clock::time_point deadline,
                               const std::atomic<bool>& stopping) {
  if (!prepared_ || !database_->connected()) return;
  database_->interrupt_with(&stopping);
  std::string problem = "the time to stop was over";
  std::size_t unsaved = scoring_.unsaved() + 1;
  while (std::chrono::steady_clock::now() < deadline && !scoring_.final_saves().empty()) {
    // What is left was refused, each by itself.
    if (scoring_.unsaved() >= unsaved) {
      problem = "the database refuses them";
      scoring_.discarded();
      break;
    }
    unsaved = scoring_.unsaved();
    if (auto saved = save_rest(); !saved) {
      problem = explain(saved.error());
      scoring_.discarded();
      break;
    }
    scoring_.committed();
  }
  if (scoring_.unsaved() > 0)
    log::warning(
        "not all baselines of devices could be saved before the stop; these devices go on from what "
        "was saved last",
        {{"shard", shard_}, {"devices", scoring_.unsaved()}, {"problem", problem}});
}

std::unique_ptr<Committer> make_postgres_committer(const PostgresOptions& options, CommitterSetup setup) {
  setup.owner.node_id = options.node_id;
  setup.synchronous_commit = options.synchronous_commit;
  auto database = std::make_unique<PgDatabase>(options, "wellhead/shard-" + std::to_string(setup.shard));
  return std::make_unique<PostgresCommitter>(std::move(database), std::move(setup));
}

}  // namespace wellhead
