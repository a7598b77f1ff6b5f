#pragma once

#include "engine/exposition.hpp"
#include "engine/node_view.hpp"

namespace wellhead {

// What the care of the database did and what it keeps against its time; nothing where the node does not do
// it. Any thread.
void add_maintenance_metrics(Exposition& exposition, const NodeView& node);

}  // namespace wellhead
