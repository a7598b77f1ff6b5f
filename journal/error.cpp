#include "journal/error.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace wellhead {
namespace {

std::string_view advice(int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return "give the journal's directory and everything in it to the user wellhead runs as";
    case EROFS:
      return "mount the file system for writing (dmesg tells whether the kernel made it read-only after an "
             "error)";
    case ENOSPC:
    case EDQUOT:
      return "free space on its file system or move the journal to a larger one";
    default:
      return "look at dmesg and the health of the disk before starting again";
  }
}

}  // namespace

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

JournalError system_error(std::string_view doing, std::string_view path, int error) {
  const bool rights = error == EACCES || error == EPERM;
  return {rights ? JournalErrorCode::permissions : JournalErrorCode::io,
          fmt::format("Cannot {} {} of the journal: {}. What the journal holds was not changed; {}.", doing,
                      path.empty() ? "the directory" : path, errno_text(error), advice(error))};
}

}  // namespace wellhead
