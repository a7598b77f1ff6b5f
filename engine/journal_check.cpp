#include "engine/journal_check.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "engine/config_values.hpp"
#include "engine/node_journal.hpp"
#include "journal/identity.hpp"

namespace wellhead {
namespace {

// Of a directory that is not there yet: whether it can be made.
JournalCheck check_new(const std::string& directory) {
  const std::filesystem::path path(directory);
  const std::filesystem::path above = path.has_parent_path() ? path.parent_path() : ".";
  if (access(above.c_str(), W_OK | X_OK) == 0) return {{}, fmt::format("{} will be made", directory)};
  return {{fmt::format("{} is not there and cannot be made: {}: {}.", directory, above.string(),
                       std::strerror(errno))},
          ""};
}

void check_space(FileSystem& files, const Config& config, JournalCheck& check) {
  const auto free = files.free_bytes();
  const std::uint64_t least = config.journal.limits.free_bytes_min + config.journal.limits.segment_bytes;
  if (free && *free < least)
    check.problems.push_back(fmt::format(
        "its file system has {} MiB free, too little for journal.free_bytes_min and one segment: the node "
        "would take no records; free space, or move the journal.",
        *free >> 20));
}

void check_owner(FileSystem& files, const Config& config, JournalCheck& check) {
  const auto identity = read_identity(files);
  if (!identity) return check.problems.push_back(identity.error().sentence);
  check.state = fmt::format("{} is {}", config.journal.directory, *identity ? "this node's" : "empty");
  if (!*identity) return;
  if (const auto mine = check_node(**identity, config.node_id); !mine)
    check.problems.push_back(mine.error().sentence);
}

}  // namespace

JournalCheck check_journal(const Config& config) {
  struct stat status{};
  if (::stat(config.journal.directory.c_str(), &status) != 0 && errno == ENOENT)
    return check_new(config.journal.directory);
  const auto files = find_journal_directory(config.journal.directory);
  if (!files) return {{files.error().sentence}, ""};
  JournalCheck check;
  if (const std::string problem = (*files)->permission_problem(); !problem.empty())
    check.problems.push_back(problem);
  check_owner(**files, config, check);
  check_space(**files, config, check);
  return check;
}

}  // namespace wellhead
