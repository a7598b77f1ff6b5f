#include "journal/epoch_file.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "journal/error.hpp"
#include "journal/text_file.hpp"

namespace wellhead {
namespace {

constexpr std::size_t epoch_bytes_max = 64U << 20;  // a catalog of thousands of streams is far below
constexpr std::size_t name_digits = 8;

// The catalog comes last, as many bytes as said: it may hold newlines.
std::string text_of(const JournalSurvey::Epoch& epoch) {
  return seal_text(fmt::format("epoch {}\nreactors {}\nshards {}\nbatch_bytes {}\ncatalog {}\n{}\n",
                               epoch.epoch, epoch.reactors, epoch.shards, epoch.batch_bytes,
                               epoch.catalog.size(), epoch.catalog));
}

std::optional<std::string> catalog_of(std::string_view body) {
  constexpr std::string_view key = "\ncatalog ";
  const std::size_t line = body.find(key);
  const auto bytes = line_number(body, "catalog");
  if (line == std::string_view::npos || !bytes) return std::nullopt;
  const std::size_t begin = body.find('\n', line + key.size()) + 1;
  if (begin == 0 || body.size() - begin != *bytes + 1) return std::nullopt;
  return std::string(body.substr(begin, *bytes));
}

template <typename Number>
bool take(std::string_view body, std::string_view key, Number& into) {
  const auto number = line_number(body, key);
  if (!number || !std::in_range<Number>(*number)) return false;
  into = static_cast<Number>(*number);
  return true;
}

std::optional<JournalSurvey::Epoch> parse(std::string_view text) {
  const auto body = unseal_text(text);
  JournalSurvey::Epoch epoch{};
  if (!body || !take(*body, "epoch", epoch.epoch) || !take(*body, "reactors", epoch.reactors) ||
      !take(*body, "shards", epoch.shards) || !take(*body, "batch_bytes", epoch.batch_bytes))
    return std::nullopt;
  auto catalog = catalog_of(*body);
  if (!catalog) return std::nullopt;
  epoch.catalog = std::move(*catalog);
  return epoch;
}

// Of a whole name; what is left of an interrupted write has another.
std::optional<std::uint32_t> epoch_of(std::string_view name) {
  std::uint32_t epoch = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), epoch);
  if (name.size() != name_digits || error != std::errc() || end != name.data() + name.size())
    return std::nullopt;
  return epoch;
}

std::expected<JournalSurvey::Epoch, JournalError> read_epoch(FileSystem& files, std::uint32_t number) {
  const std::string path = epoch_path(number);
  const auto text = read_text(files, path, epoch_bytes_max);
  if (!text) return std::unexpected(system_error("read", path, text.error()));
  auto epoch = parse(*text);
  if (epoch && epoch->epoch == number) return std::move(*epoch);
  return std::unexpected(JournalError{
      JournalErrorCode::damaged,
      fmt::format("The journal's file {} is damaged, so the meaning of the rows written in that run "
                  "is not known. Nothing was changed; restore the file from a copy, or move it and "
                  "the segments that begin with {:08} out of the directory to go on without them.",
                  path, number)});
}

}  // namespace

std::string epoch_path(std::uint32_t epoch) {
  return fmt::format("{}/{:08}", epochs_directory, epoch);
}

std::expected<std::map<std::uint32_t, JournalSurvey::Epoch>, JournalError> read_epochs(FileSystem& files) {
  std::map<std::uint32_t, JournalSurvey::Epoch> epochs;
  const auto names = files.list(epochs_directory);
  if (!names && names.error() == ENOENT) return epochs;
  if (!names) return std::unexpected(system_error("list", epochs_directory, names.error()));
  for (const std::string& name : *names) {
    const auto number = epoch_of(name);
    if (!number) continue;
    auto epoch = read_epoch(files, *number);
    if (!epoch) return std::unexpected(epoch.error());
    epochs.emplace(*number, std::move(*epoch));
  }
  return epochs;
}

std::expected<void, JournalError> write_epoch(FileSystem& files, const JournalSurvey::Epoch& epoch) {
  const std::string path = epoch_path(epoch.epoch);
  const auto written = replace_text(files, epochs_directory, path, text_of(epoch));
  if (!written) return std::unexpected(system_error("write", path, written.error()));
  return {};
}

std::expected<void, JournalError> remove_epoch(FileSystem& files, std::uint32_t epoch) {
  const std::string path = epoch_path(epoch);
  const auto removed = files.remove(path);
  if (!removed && removed.error() != ENOENT)
    return std::unexpected(system_error("remove", path, removed.error()));
  return {};
}

}  // namespace wellhead
