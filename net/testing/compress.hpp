#pragma once

#include <string>
#include <string_view>

namespace wellhead::testing {

[[nodiscard]] std::string gzip(std::string_view text);
[[nodiscard]] std::string zstd(std::string_view text);

}  // namespace wellhead::testing
