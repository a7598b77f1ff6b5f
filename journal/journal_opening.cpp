#include "journal/journal_opening.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"
#include "journal/chain_end.hpp"
#include "journal/epoch_file.hpp"
#include "journal/error.hpp"
#include "journal/quarantine.hpp"
#include "journal/section.hpp"
#include "journal/segment_pool.hpp"

namespace wellhead {
namespace {

using Step = std::expected<void, JournalError>;

// Payloads verified before the start; the rest is verified when it is read. At a disk's 500 MB/s this is half
// a second, and it covers what was written in the last seconds before the end of the last run.
constexpr std::uint64_t verify_bytes_max = 256ULL << 20;

// Segments without an identity: the file was lost, and a new one would make all of them another journal's.
Step check_unowned(FileSystem& files) {
  const auto names = files.list(segments_directory);
  if (!names && names.error() == ENOENT) return {};
  if (!names) return std::unexpected(system_error("list", segments_directory, names.error()));
  if (names->empty()) return {};
  return std::unexpected(JournalError{
      JournalErrorCode::damaged,
      fmt::format("The journal has {} segments and no file identity, so nobody can tell whose records "
                  "they hold. Nothing was changed; restore that file from a copy of the directory, or "
                  "move the segments away to start an empty journal without their records.",
                  names->size())});
}

Step make_directories(FileSystem& files) {
  for (const char* directory : {segments_directory, spare_directory, epochs_directory, quarantine_directory})
    if (const auto made = files.make_directory(directory); !made)
      return std::unexpected(system_error("make", directory, made.error()));
  if (const auto durable = files.synchronize_directory(""); !durable)
    return std::unexpected(system_error("synchronize", "", durable.error()));
  return {};
}

std::expected<bool, JournalError> choose_direct(FileSystem& files, DirectIo wanted) {
  if (wanted == DirectIo::off) return false;
  const auto works = direct_io_works(files);
  if (!works) return std::unexpected(system_error("write a test file into", spare_directory, works.error()));
  if (*works || wanted == DirectIo::preferred) return *works;
  return std::unexpected(JournalError{
      JournalErrorCode::no_direct_io,
      "The journal's file system cannot write around the page cache (O_DIRECT), which is required. "
      "Nothing was written; move the journal to a local ext4 or XFS file system, or allow the page "
      "cache, which makes acknowledgements slower."});
}

std::uint64_t known_rows(const std::vector<LostRows>& lost) {
  std::uint64_t rows = 0;
  for (const LostRows& entry : lost) rows += entry.rows;
  return rows;
}

JournalError damage(const std::vector<JournalFault>& fresh, const JournalSurvey& survey) {
  return {JournalErrorCode::damaged,
          fmt::format(
              "The journal is damaged in {} places; {} rows that were acknowledged are lost for certain, in "
              "{} sections in all. The first: {} Nothing was changed; keep a copy of the directory, look at "
              "the disk, then start once with damage accepted to set the damaged bytes aside and carry on "
              "with everything else.",
              fresh.size(), known_rows(survey.lost), survey.lost.size(), fresh.front().sentence)};
}

Step judge_damage(FileSystem& files, const Recovered& recovered, bool accept_damage) {
  const auto fresh = new_faults(files, recovered.faults);
  if (!fresh) return std::unexpected(fresh.error());
  if (fresh->empty()) return {};
  if (!accept_damage) return std::unexpected(damage(*fresh, recovered.survey));
  if (const auto made = make_directories(files); !made) return made;
  for (const JournalFault& fault : *fresh)
    if (const auto aside = set_aside(files, fault); !aside) return aside;
  return {};
}

std::expected<Recovered, JournalError> recover_checked(FileSystem& files,
                                                       const std::optional<JournalIdentity>& identity,
                                                       const JournalOptions& options) {
  if (!identity) {
    const Step unowned = check_unowned(files);
    if (!unowned) return std::unexpected(unowned.error());
    return Recovered{};
  }
  if (const Step mine = check_node(*identity, options.node_id); !mine) return std::unexpected(mine.error());
  auto recovered = recover(files, identity->id, verify_bytes_max);
  if (!recovered) return recovered;
  if (const Step judged = judge_damage(files, *recovered, options.accept_damage); !judged)
    return std::unexpected(judged.error());
  return recovered;
}

// The new epoch is durable before the files of empty ones go, so that its number is never given twice.
Step begin_epoch(FileSystem& files, const JournalSurvey::Epoch& epoch, const Recovered& recovered) {
  if (const Step written = write_epoch(files, epoch); !written) return written;
  for (const std::uint32_t empty : recovered.empty_epochs) {
    // Its unused segments go first: without the epoch's file nobody could tell what they are.
    const bool used = std::ranges::any_of(recovered.unused,
                                          [&](const SegmentId& segment) { return segment.epoch == empty; });
    if (used) continue;
    if (const Step removed = remove_epoch(files, empty); !removed) return removed;
  }
  return {};
}

}  // namespace

std::expected<std::optional<JournalIdentity>, JournalError> take_directory(FileSystem& files) {
  if (const std::string problem = files.permission_problem(); !problem.empty())
    return std::unexpected(JournalError{JournalErrorCode::permissions, problem + " Nothing was changed."});
  const auto locked = files.lock();
  if (!locked && locked.error() == EWOULDBLOCK)
    return std::unexpected(
        JournalError{JournalErrorCode::in_use,
                     "Another process has the journal open. Nothing was changed; stop the other wellhead, or "
                     "give this one a directory of its own."});
  if (!locked) return std::unexpected(system_error("lock", "", locked.error()));
  return read_identity(files);
}

std::expected<OpenedJournal, JournalError> open_directory(FileSystem& files, const JournalOptions& options) {
  auto identity = take_directory(files);
  if (!identity) return std::unexpected(identity.error());
  auto recovered = recover_checked(files, *identity, options);
  if (!recovered) return std::unexpected(recovered.error());
  if (const Step made = make_directories(files); !made) return std::unexpected(made.error());
  const auto direct = choose_direct(files, options.direct);
  if (!direct) return std::unexpected(direct.error());
  if (!*identity) {
    auto fresh = make_identity(files, options.node_id);
    if (!fresh) return std::unexpected(fresh.error());
    *identity = std::move(*fresh);
  }
  // What it spares is time, so a start that cannot keep it is none the worse.
  if (recovered->ends_changed) std::ignore = write_chain_ends(files, (*identity)->id, recovered->ends);
  const JournalSurvey::Epoch epoch{recovered->last_epoch + 1, options.reactors, options.shards,
                                   options.batch_bytes, options.catalog};
  if (const Step begun = begin_epoch(files, epoch, *recovered); !begun) return std::unexpected(begun.error());
  return OpenedJournal{std::move(**identity), std::move(*recovered), epoch, *direct};
}

}  // namespace wellhead
