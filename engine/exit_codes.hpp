// How wellhead's programs end. Part of the interface: unit files and scripts rely on them.
#pragma once

namespace wellhead {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;   // something outside was not as it must be; the message says what
inline constexpr int exit_usage = 64;   // the command line is wrong (EX_USAGE of sysexits.h)
inline constexpr int exit_config = 78;  // the configuration is wrong (EX_CONFIG): a restart will not help
inline constexpr int exit_second_term = 143;  // a second TERM or INT cut the drain short (128 + SIGTERM)

}  // namespace wellhead
