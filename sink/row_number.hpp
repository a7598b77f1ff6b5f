// Reading numbers out of the text of a query's answer.
#pragma once

#include <charconv>
#include <optional>
#include <string>

#include "base/assert.hpp"

namespace wellhead {

// REQUIRES the text of a number that fits: a statement asks for such, and never for NULL.
template <typename Number>
Number number_in(const std::optional<std::string>& text) {
  WELLHEAD_ASSERT(text.has_value());
  Number number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  WELLHEAD_ASSERT(error == std::errc{});
  return number;
}

}  // namespace wellhead
