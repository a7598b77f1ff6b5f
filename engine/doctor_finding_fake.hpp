// For tests of what the doctor judges.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "engine/doctor_finding.hpp"

namespace wellhead::test {

// The finding of this subject; an empty one, and a failed test, where there is none.
inline Finding finding_of(const Findings& findings, std::string_view subject) {
  const auto found = std::ranges::find(findings, subject, &Finding::subject);
  if (found != findings.end()) return *found;
  ADD_FAILURE() << "nothing was found of " << subject;
  return {};
}

}  // namespace wellhead::test
