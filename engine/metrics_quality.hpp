// The metrics of how readings were judged.
#pragma once

#include "engine/exposition.hpp"
#include "engine/node_view.hpp"

namespace wellhead {

void add_quality_metrics(Exposition& exposition, const NodeView& node);

}  // namespace wellhead
