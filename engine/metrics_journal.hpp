#pragma once

#include "engine/exposition.hpp"
#include "engine/node_view.hpp"

namespace wellhead {

// What the journal holds, how its writers do and what was found when it was opened; nothing where there is no
// journal. Any thread.
void add_journal_metrics(Exposition& exposition, const NodeView& node);

}  // namespace wellhead
