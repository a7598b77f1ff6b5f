#include "sink/sqlstate.hpp"

#include <algorithm>
#include <array>

namespace wellhead {
namespace {

using namespace std::string_view_literals;

// 22 data exception, 23 integrity constraint, 44 check option, 54 program limit (a value too long for its
// index), and P0001: a trigger's RAISE EXCEPTION, which is how tables check what a CHECK cannot.
constexpr std::array rows_refused_classes{"22"sv, "23"sv, "44"sv, "54"sv};
constexpr std::string_view raise_exception = "P0001";

// 0A feature not supported, 28 authorization, 3D no such database, 3F no such schema, 42 names, types and
// rights.
constexpr std::array operator_classes{"0A"sv, "28"sv, "3D"sv, "3F"sv, "42"sv};

template <typename Classes>
bool contains(const Classes& classes, std::string_view wanted) noexcept {
  return std::ranges::find(classes, wanted) != classes.end();
}

}  // namespace

ErrorKind classify_sqlstate(std::string_view sqlstate) noexcept {
  const std::string_view sqlstate_class = sqlstate.substr(0, 2);
  if (contains(rows_refused_classes, sqlstate_class) || sqlstate == raise_exception)
    return ErrorKind::rows_refused;
  if (contains(operator_classes, sqlstate_class)) return ErrorKind::operator_needed;
  return ErrorKind::retry;
}

}  // namespace wellhead
