#pragma once

#include "engine/exposition.hpp"
#include "engine/node_view.hpp"

namespace wellhead {

// What HUP did, and which attributes of devices are in force.
void add_reload_metrics(Exposition& exposition, const NodeView& node);

}  // namespace wellhead
