// What an error of the database means for the rows (PostgreSQL documentation, appendix "PostgreSQL Error
// Codes").
#pragma once

#include <cstdint>
#include <string_view>

namespace wellhead {

enum class ErrorKind : std::uint8_t {
  rows_refused,  // the data is at fault: find the rows, refuse them, commit the others
  retry,  // the moment is at fault: connection, deadlock, resources, shutdown; the same flush can succeed
  operator_needed,  // rights, names or the table are at fault: nothing is lost, nothing goes on until
                    // somebody acts
};

// `sqlstate` is five characters, or empty where the connection broke before the server could say anything.
[[nodiscard]] ErrorKind classify_sqlstate(std::string_view sqlstate) noexcept;

}  // namespace wellhead
