// Sentences of the journal's errors: what happened, what it means for the data, what to do.
#pragma once

#include <string>
#include <string_view>

#include "journal/journal.hpp"

namespace wellhead {

// "Input/output error (EIO)" and the like.
[[nodiscard]] std::string errno_text(int error);

// The system refused `doing` ("read", "write", …) on `path`; `error` is an errno. Missing rights, a read-only
// file system and a full disk get their own advice.
[[nodiscard]] JournalError system_error(std::string_view doing, std::string_view path, int error);

}  // namespace wellhead
