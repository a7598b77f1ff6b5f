// Dead letters as text for a terminal or a program.
#pragma once

#include <string>
#include <string_view>

#include "engine/dead_letter_store.hpp"

namespace wellhead {

// One line, with its newline.
[[nodiscard]] std::string print_line(const DeadLetterEntry& entry);
// One JSON object on a line, without the payload.
[[nodiscard]] std::string print_json(const DeadLetterEntry& entry);
// Everything, a line for each thing known, then the payload.
[[nodiscard]] std::string print_letter(const DeadLetterEntry& entry);

// `bytes` so that a terminal shows them and does nothing else: control characters (but newline and tab) and
// bytes that are not UTF-8 become \xNN.
[[nodiscard]] std::string escaped(std::string_view bytes);

}  // namespace wellhead
