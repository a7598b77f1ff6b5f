#pragma once

#include "database/database_report.hpp"
#include "engine/exposition.hpp"

namespace wellhead {

// What the database said of itself when the node last asked. The scrape asks nothing; the layouts bound the
// label values. Any thread.
void add_database_metrics(Exposition& exposition, const DatabaseReport& report);

}  // namespace wellhead
