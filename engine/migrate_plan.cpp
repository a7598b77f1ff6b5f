// `wellhead migrate plan` and `down`: what would be done, and the way back.
#include <fmt/format.h>

#include <algorithm>

#include "engine/migrate.hpp"

namespace wellhead {
namespace {

std::string join(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string plan_of(const Migration& migration, const std::string& ledger_row) {
  const std::string head = fmt::format("\n-- {:04}_{}", migration.version, migration.name);
  if (!migration.transactional)
    return fmt::format("{}: not in a transaction\n{}{};\n", head, migration.sql, ledger_row);
  return fmt::format("{}\nBEGIN;\n{}{};\nCOMMIT;\n", head, migration.sql, ledger_row);
}

}  // namespace

std::expected<std::string, std::string> Migrator::plan() {
  const auto future = future_server();
  const bool makes_extension = extension_to_come_;
  roll_back();
  if (!future) return std::unexpected(future.error());
  const auto all = records(*future);
  if (!all) return std::unexpected(all.error());
  if (const Outcome safe = refuse_unsafe(*all); !safe) return std::unexpected(safe.error());
  const std::string edition = describe(*future);
  std::string files;
  for (const MigrationRecord& record : *all) {
    if (record.state != MigrationState::pending) continue;
    const Migration& migration = *find(record.version);
    files += plan_of(migration, ledger_row(migration, edition));
  }
  const std::string head = fmt::format("-- For {}.\n", edition);
  if (files.empty()) return head + "-- Nothing to apply.\n";
  const std::string extension = makes_extension ? fmt::format("{};\n", create_extension) : "";
  return fmt::format("{}\nBEGIN;\n{}{};\nCOMMIT;\n{}", head, extension, make_ledger_table, files);
}

std::expected<MigrationReport, std::string> Migrator::down(std::optional<int> to, bool data_loss) {
  if (const Outcome locked = lock(); !locked) return std::unexpected(locked.error());
  const auto current = server();
  if (!current) return std::unexpected(current.error());
  const auto before = records(*current);
  if (!before) return std::unexpected(before.error());
  if (const Outcome settled = refuse_conversions(); !settled) return std::unexpected(settled.error());
  const auto undone = to_undo(*before, to);
  if (!undone) return std::unexpected(undone.error());
  if (!data_loss) {
    if (const Outcome safe = refuse_loss(*undone); !safe) return std::unexpected(safe.error());
  }
  for (const Migration* migration : *undone) {
    if (const Outcome done = undo(*migration); !done) return std::unexpected(done.error());
  }
  auto report = status();
  if (report) report->undone_now = static_cast<int>(undone->size());
  unlock();
  return report;
}

// Everything is looked at before anything is undone.
std::expected<std::vector<const Migration*>, std::string> Migrator::to_undo(
    std::span<const MigrationRecord> records, std::optional<int> to) const {
  std::vector<MigrationRecord> applied(records.begin(), records.end());
  std::erase_if(applied, [](const MigrationRecord& record) { return record.applied_at.empty(); });
  std::ranges::sort(applied, std::greater(), &MigrationRecord::version);
  if (!to && !applied.empty()) to = applied.front().version - 1;
  std::vector<const Migration*> undone;
  for (const MigrationRecord& record : applied) {
    if (record.version <= *to) break;
    const Migration* migration = find(record.version);
    if (record.state != MigrationState::applied || migration == nullptr)
      return std::unexpected(
          fmt::format("The migration {:04}_{} is {}, so this binary does not know how to undo it. Nothing "
                      "was changed; use "
                      "the wellhead release it was applied with.",
                      record.version, record.name, to_string(record.state)));
    if (!migration->down)
      return std::unexpected(fmt::format(
          "The migration {:04}_{} has no way back. Nothing was changed; restore a backup from before {}.",
          record.version, record.name, record.applied_at));
    undone.push_back(migration);
  }
  return undone;
}

Migrator::Outcome Migrator::refuse_loss(std::span<const Migration* const> undone) {
  std::vector<std::string> lost;
  for (const Migration* migration : undone) {
    for (const std::string& loss : migration->down->loses) {
      const std::string table = loss.substr(0, loss.find('.'));
      // What goes is the new table beside it, which is empty.
      if (std::ranges::find(beside_, table) != beside_.end()) continue;
      const std::string told = (table == loss ? "the rows of " : "the column ") + loss;
      const auto rows = database_.query(fmt::format("SELECT EXISTS (SELECT FROM {})", table));
      if (!rows)
        return std::unexpected(fmt::format("The table {} cannot be read: {}. Nothing was changed.", table,
                                           describe(rows.error())));
      if (rows->front().front() == "t" && std::ranges::find(lost, told) == lost.end()) lost.push_back(told);
    }
  }
  if (lost.empty()) return {};
  return std::unexpected(
      fmt::format("Going down would delete {} for good. Nothing was changed; make a backup, and say "
                  "--data-loss if that is what you want.",
                  join(lost)));
}

Migrator::Outcome Migrator::undo(const Migration& migration) {
  const Outcome done =
      in_transaction(migration.down->sql,
                     fmt::format("DELETE FROM wellhead_migration WHERE version = {}", migration.version));
  if (done) {
    tell_(fmt::format("Undid {:04}_{}.", migration.version, migration.name));
    return {};
  }
  roll_back();
  return std::unexpected(fmt::format(
      "Undoing the migration {:04}_{} failed and was rolled back: {}. Those above it are undone; `wellhead "
      "migrate status` lists what is applied.",
      migration.version, migration.name, done.error()));
}

}  // namespace wellhead
