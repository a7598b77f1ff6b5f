#include "sink/salvage.hpp"

#include <algorithm>
#include <charconv>

#include "base/assert.hpp"
#include "sink/sqlstate.hpp"

namespace wellhead {
namespace {

constexpr std::size_t window_growth = 4;  // after a window without a bad row

// How the search goes through the rows of one stream.
class Search {
 public:
  Search(std::size_t row_count, std::optional<std::uint64_t> first_bad_line)
      : row_count_(row_count), window_(row_count) {
    if (first_bad_line) narrow(row_count, first_bad_line);
  }

  [[nodiscard]] bool done() const noexcept { return position_ == row_count_; }
  [[nodiscard]] std::size_t position() const noexcept { return position_; }
  // How many rows to try next.
  [[nodiscard]] std::size_t count() const noexcept { return std::min(window_, row_count_ - position_); }

  void accepted(std::size_t count) {
    position_ += count;
    since_bad_ += count;
    if (position_ >= suspects_end_)
      window_ = count * window_growth;
    else
      window_ = hinted_ ? 1 : std::max<std::size_t>(1, (suspects_end_ - position_) / 2);
    hinted_ = false;
  }

  // A try of `count` > 1 rows failed, at row `bad_line` of them if the server says so.
  void narrow(std::size_t count, std::optional<std::uint64_t> bad_line) {
    suspects_end_ = position_ + count;
    // A hint is believed once: the rows before it failing too means that it cannot be relied on.
    hinted_ = !hinted_ && bad_line && *bad_line >= 1 && *bad_line <= count;
    window_ = std::max<std::size_t>(1, hinted_ ? static_cast<std::size_t>(*bad_line) - 1 : count / 2);
  }

  // The row at position() is bad.
  void refused() {
    ++position_;
    window_ = std::max<std::size_t>(1, 2 * since_bad_);
    since_bad_ = 0;
    suspects_end_ = position_;
    hinted_ = false;
  }

 private:
  std::size_t row_count_;
  std::size_t position_ = 0;
  std::size_t window_;
  std::size_t suspects_end_ = 0;  // a bad row lies between position_ and here, if that is any row
  std::size_t since_bad_ = 0;     // good rows since the last bad one, or since the start
  bool hinted_ = false;           // the window ends right before the row the server named
};

}  // namespace

std::optional<std::uint64_t> copy_line_from(std::string_view context) noexcept {
  constexpr std::string_view start = "COPY ";
  constexpr std::string_view marker = ", line ";
  const std::size_t copy = context.starts_with(start) ? 0 : context.rfind("\nCOPY ");
  if (copy == std::string_view::npos) return std::nullopt;
  const std::size_t found = context.find(marker, copy);
  if (found == std::string_view::npos) return std::nullopt;
  const std::string_view digits = context.substr(found + marker.size());
  std::uint64_t line = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), line);
  if (error != std::errc{}) return std::nullopt;
  return line;
}

DatabaseResult<void> Salvage::attempt(const Schema& schema, std::span<const SortedRow> rows) {
  std::string statements = failed_ ? "ROLLBACK TO SAVEPOINT salvage; " : "";
  statements += schema.copy_statement();
  statements += "; RELEASE SAVEPOINT salvage; SAVEPOINT salvage";
  failed_ = true;  // until the whole string went through
  auto step = database_.run(statements);
  if (!step) return std::unexpected(step.error());
  WELLHEAD_ASSERT(step->copying);
  auto sent = stream_.send(database_, rows);
  if (!sent) return std::unexpected(sent.error());
  step = database_.copy_end();
  if (!step) return std::unexpected(step.error());
  failed_ = false;
  bytes_copied_ += *sent;
  return {};
}

DatabaseResult<void> Salvage::put(const Schema& schema, std::span<const SortedRow> rows,
                                  std::optional<std::uint64_t> first_bad_line,
                                  std::vector<Refusal>& refusals) {
  Search search(rows.size(), first_bad_line);
  while (!search.done()) {
    const std::size_t count = search.count();
    const auto done = attempt(schema, rows.subspan(search.position(), count));
    if (done) {
      search.accepted(count);
      continue;
    }
    const DatabaseError& error = done.error();
    if (classify_sqlstate(error.sqlstate) != ErrorKind::rows_refused || !database_.connected()) return done;
    if (count > 1) {
      search.narrow(count, copy_line_from(error.context));
    } else {
      const SortedRow& row = rows[search.position()];
      refusals.push_back({row.arrival, row.header, error.sqlstate, error.message});
      search.refused();
    }
  }
  // The caller's next statement must not find a failed transaction.
  if (failed_) {
    failed_ = false;
    if (auto step = database_.run("ROLLBACK TO SAVEPOINT salvage"); !step)
      return std::unexpected(step.error());
  }
  return {};
}

}  // namespace wellhead
