#include "sink/database.hpp"

#include "base/assert.hpp"

namespace wellhead {

std::string sql_literal(std::string_view text) {
  WELLHEAD_ASSERT(text.find('\0') == std::string_view::npos);
  // The E form reads backslashes the same whatever standard_conforming_strings says.
  std::string literal = text.find('\\') == std::string_view::npos ? "'" : " E'";
  for (const char character : text) {
    if (character == '\'' || character == '\\') literal += character;
    literal += character;
  }
  literal += '\'';
  return literal;
}

}  // namespace wellhead
