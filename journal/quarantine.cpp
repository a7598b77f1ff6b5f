#include "journal/quarantine.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "journal/error.hpp"
#include "journal/read_window.hpp"
#include "journal/text_file.hpp"

namespace wellhead {
namespace {

constexpr std::size_t copy_bytes = 256U << 10;

std::string name_of(const JournalFault& fault) {
  return fmt::format("{}.{}-{}", segment_name(fault.segment), fault.extent.begin, fault.extent.end);
}

FileResult<void> copy(FileSystem& files, File& from, const Extent& extent, const std::string& to) {
  auto removed = files.remove(to);  // left by a crash
  if (!removed && removed.error() != ENOENT) return removed;
  const auto file = files.open(to, OpenMode::create);
  if (!file) return std::unexpected(file.error());
  ReadWindow window;
  window.open(from);
  for (std::uint64_t at = extent.begin; at < extent.end;) {
    const auto bytes = window.view(at, std::min<std::uint64_t>(extent.end - at, copy_bytes));
    if (!bytes) return std::unexpected(bytes.error());
    if (bytes->empty()) break;
    if (const auto written = write_all(**file, *bytes, at - extent.begin); !written) return written;
    at += bytes->size();
  }
  return (*file)->synchronize();
}

FileResult<void> copy_durably(FileSystem& files, const JournalFault& fault) {
  const auto source = files.open(segment_path(fault.segment), OpenMode::read);
  if (!source) return std::unexpected(source.error());
  const std::string path = quarantine_path(fault);
  const std::string fresh = path + ".new";
  if (const auto copied = copy(files, **source, fault.extent, fresh); !copied) return copied;
  if (const auto renamed = files.rename(fresh, path); !renamed) return renamed;
  return files.synchronize_directory(quarantine_directory);
}

}  // namespace

std::string quarantine_path(const JournalFault& fault) {
  return fmt::format("{}/{}", quarantine_directory, name_of(fault));
}

std::expected<std::vector<JournalFault>, JournalError> new_faults(FileSystem& files,
                                                                  std::span<const JournalFault> faults) {
  std::vector<JournalFault> fresh;
  const auto known = files.list(quarantine_directory);
  if (!known && known.error() != ENOENT)
    return std::unexpected(system_error("list", quarantine_directory, known.error()));
  for (const JournalFault& fault : faults)
    if (!known || !std::ranges::binary_search(*known, name_of(fault))) fresh.push_back(fault);
  return fresh;
}

std::expected<void, JournalError> set_aside(FileSystem& files, const JournalFault& fault) {
  const auto copied = copy_durably(files, fault);
  if (!copied)
    return std::unexpected(
        system_error("set aside damaged bytes in", quarantine_path(fault), copied.error()));
  return {};
}

}  // namespace wellhead
