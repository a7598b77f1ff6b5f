// What `wellhead doctor` says: one finding for each thing it looked at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wellhead {

enum class FindingLevel : std::uint8_t {
  ok,
  advice,   // it works; this would make it faster or easier to watch
  warning,  // it works now, and will not under load or after a while
  problem,  // something is not being done, or data are in danger
};
[[nodiscard]] std::string_view to_string(FindingLevel level) noexcept;

struct Finding {
  FindingLevel level = FindingLevel::ok;
  std::string area;     // "machine", "journal", "database"
  std::string subject;  // "io_uring"
  std::string seen;     // what there is
  std::string reason;   // why it matters; empty where all is well
  std::string fix;      // a command, statement or key that can be pasted; empty where all is well
};
using Findings = std::vector<Finding>;

// The worst first within each area, for people; all of them as one JSON object.
[[nodiscard]] std::string print_findings(const Findings& findings);
[[nodiscard]] std::string print_findings_json(const Findings& findings);

// exit_failed with a problem, else exit_ok.
[[nodiscard]] int exit_code_of(const Findings& findings) noexcept;

}  // namespace wellhead
