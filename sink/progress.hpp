// The table that says where each lane stands, and the statements on it. No I/O of its own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sink/committer.hpp"
#include "sink/database.hpp"

namespace wellhead {

// Made by the migrations.
inline constexpr std::string_view progress_table = "wellhead_progress";

// Whose progress it is.
struct ProgressOwner {
  std::string journal_id = {};     // a UUID, with or without hyphens
  std::string node_id = {};        // for people who look at the table
  std::uint32_t epoch_oldest = 1;  // of the journal; progress of earlier ones is garbage
};

// For a node without a journal: its lanes go with the process, and so does their name.
[[nodiscard]] std::string random_journal_id();

class ProgressTable {
 public:
  explicit ProgressTable(ProgressOwner owner);

  // Adds lanes that are missing, at 0.
  [[nodiscard]] std::string insert_statement(std::span<const LaneProgress> lanes) const;
  // Locks the lanes and reads them: rows for read(). Waits for transactions that still have them.
  [[nodiscard]] std::string select_statement(std::span<const LaneProgress> lanes) const;
  // Takes what the statement gave into the lanes. REQUIRES the rows of all of them.
  static void read(const DatabaseRows& rows, std::span<LaneProgress> lanes);
  // Moves lanes; updates as many rows as there are moves, or somebody else has moved one.
  [[nodiscard]] std::string move_statement(std::span<const LaneMove> moves) const;
  // Removes the progress of epochs that the journal has forgotten.
  [[nodiscard]] std::string delete_statement() const;

  [[nodiscard]] const ProgressOwner& owner() const noexcept { return owner_; }

 private:
  ProgressOwner owner_;
  std::string journal_;  // the id as an SQL value
};

}  // namespace wellhead
