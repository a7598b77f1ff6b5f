// Looks at a journal's directory before a node does: `wellhead check`.
#pragma once

#include <string>
#include <vector>

#include "engine/config.hpp"

namespace wellhead {

struct JournalCheck {
  std::vector<std::string> problems;  // each a sentence; empty: a node can start on it
  std::string state;                  // what is there, where there is no problem
};

// Takes no lock and changes nothing, so that it may be asked while a node runs.
[[nodiscard]] JournalCheck check_journal(const Config& config);

}  // namespace wellhead
