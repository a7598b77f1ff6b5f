#include "engine/doctor_finding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json_text.hpp"
#include "engine/dead_letter_print.hpp"
#include "engine/exit_codes.hpp"

namespace wellhead {
namespace {

constexpr std::array areas{std::string_view("machine"), std::string_view("journal"),
                           std::string_view("database")};

std::size_t count(const Findings& findings, FindingLevel level) {
  return static_cast<std::size_t>(std::ranges::count(findings, level, &Finding::level));
}

std::string summary(const Findings& findings) {
  return fmt::format("{} problems, {} warnings, {} pieces of advice, {} ok\n",
                     count(findings, FindingLevel::problem), count(findings, FindingLevel::warning),
                     count(findings, FindingLevel::advice), count(findings, FindingLevel::ok));
}

}  // namespace

std::string_view to_string(FindingLevel level) noexcept {
  switch (level) {
    case FindingLevel::ok:
      return "ok";
    case FindingLevel::advice:
      return "advice";
    case FindingLevel::warning:
      return "warning";
    case FindingLevel::problem:
      return "problem";
  }
  return "";
}

std::string print_findings(const Findings& findings) {
  std::string text;
  for (const std::string_view area : areas) {
    Findings here;
    std::ranges::copy_if(findings, std::back_inserter(here),
                         [&](const Finding& finding) { return finding.area == area; });
    if (here.empty()) continue;
    std::ranges::stable_sort(here, std::greater(), &Finding::level);
    text += fmt::format("{}{}\n", text.empty() ? "" : "\n", area);
    for (const Finding& finding : here) {
      text +=
          fmt::format("  {:<8} {}: {}\n", to_string(finding.level), finding.subject, escaped(finding.seen));
      if (!finding.reason.empty()) text += fmt::format("           why: {}\n", escaped(finding.reason));
      if (!finding.fix.empty()) text += fmt::format("           fix: {}\n", escaped(finding.fix));
    }
  }
  return text + '\n' + summary(findings);
}

std::string print_findings_json(const Findings& findings) {
  const auto one = [](const Finding& finding) {
    return fmt::format(R"({{"level":"{}","area":{},"subject":{},"seen":{},"reason":{},"fix":{}}})",
                       to_string(finding.level), json_string(finding.area), json_string(finding.subject),
                       json_string(finding.seen), json_string(finding.reason), json_string(finding.fix));
  };
  return fmt::format(R"({{"problems":{},"warnings":{},"advice":{},"findings":{}}})",
                     count(findings, FindingLevel::problem), count(findings, FindingLevel::warning),
                     count(findings, FindingLevel::advice), json_array(findings, one)) +
         '\n';
}

int exit_code_of(const Findings& findings) noexcept {
  return count(findings, FindingLevel::problem) == 0 ? exit_ok : exit_failed;
}

}  // namespace wellhead
