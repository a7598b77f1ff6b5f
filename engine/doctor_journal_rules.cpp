#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/database_report_print.hpp"
#include "engine/doctor_journal.hpp"

namespace wellhead {
namespace {

using enum FindingLevel;

// A record is acknowledged after one such write: what a client waits for at least.
constexpr double good_p99_ms = 20;
constexpr double bad_p99_ms = 200;
// Quicker than any device that has the bytes when the power goes, but for those with a protected cache.
constexpr double doubtful_p50_ms = 0.02;

Finding finding(FindingLevel level, std::string subject, std::string seen, std::string reason = {},
                std::string fix = {}) {
  return {level, "journal", std::move(subject), std::move(seen), std::move(reason), std::move(fix)};
}

template <typename List>
bool among(const std::string& word, const List& list) {
  return std::ranges::find(list, word) != std::end(list);
}

std::string making(const JournalFacts& facts) {
  return fmt::format("sudo install -d -m 700 -o wellhead -g wellhead {}", facts.directory);
}

Finding judge_directory(const JournalFacts& facts) {
  if (facts.there) return finding(ok, "directory", facts.directory);
  return finding(advice, "directory", facts.directory + " is not there yet; the node makes it",
                 "where it is made now, its owner and its disk are chosen on purpose", making(facts));
}

Finding judge_file_system(const JournalFacts& facts) {
  constexpr std::array memory{"tmpfs", "ramfs"};
  constexpr std::array network{"nfs", "cifs", "smb2", "fuse", "9p"};
  const std::string fix = "journal.dir = \"/PATH/ON/A/LOCAL/DISK\"   # ext4 or xfs";
  if (facts.file_system.empty())
    return finding(warning, "file system", "it cannot be asked", "it may be gone", fix);
  if (among(facts.file_system, memory))
    return finding(problem, "file system", facts.file_system + ", which is memory",
                   "acknowledged records are gone with the machine's power", fix);
  if (among(facts.file_system, network))
    return finding(warning, "file system", facts.file_system + ", over a network or another process",
                   "whether a write is durable, and how long it takes, is another machine's word", fix);
  if (facts.file_system == "overlay")
    return finding(warning, "file system", "overlay, a container's own layer",
                   "the journal goes with the container, and acknowledged records with it",
                   "docker run -v wellhead-journal:" + facts.directory + "   # beside its other options");
  if (facts.file_system == "btrfs" || facts.file_system == "zfs")
    return finding(
        advice, "file system", facts.file_system + ", which copies on write",
        "each durable write also moves metadata, which takes longer and wears the disk",
        "sudo chattr +C " + facts.directory + "   # btrfs, while it is empty; or take ext4 or xfs");
  return finding(ok, "file system", facts.file_system);
}

Finding judge_direct(const JournalFacts& facts, const JournalWishes& wishes) {
  if (facts.latency.direct) return finding(ok, "direct writes", "O_DIRECT works");
  const std::string reason =
      "writes go through the page cache: more processor time, and memory of other programs";
  return finding(wishes.direct_required ? problem : advice, "direct writes",
                 "the file system has no O_DIRECT",
                 wishes.direct_required ? "journal.direct is \"required\": the node does not start" : reason,
                 wishes.direct_required ? "journal.direct = \"preferred\"" : "journal.dir on ext4 or xfs");
}

Finding judge_latency(const JournalFacts& facts) {
  const SyncLatency& latency = facts.latency;
  if (latency.samples == 0)
    return finding(warning, "disk latency", "could not be measured: " + latency.problem,
                   "nobody knows how long acknowledgements will take",
                   "run `wellhead doctor` as the user the node runs as");
  const std::string seen =
      fmt::format("a durable write of 64 KiB takes {:.2f} ms (p50), {:.2f} ms (p99), of {}", latency.p50_ms,
                  latency.p99_ms, latency.samples);
  if (latency.p99_ms > bad_p99_ms)
    return finding(
        warning, "disk latency", seen,
        "every client waits that long for its acknowledgement, and the journal's throughput ends there",
        "journal.dir on a local SSD of its own, away from the database's WAL");
  if (latency.p99_ms > good_p99_ms)
    return finding(advice, "disk latency", seen, "clients that send one record at a time wait for each",
                   "journal.dir on an SSD with power-loss protection, or let clients send batches");
  if (latency.p50_ms < doubtful_p50_ms)
    return finding(
        advice, "disk latency", seen,
        "no disk without a protected cache is that quick: the virtual machine's host may answer "
        "before the bytes are safe",
        "cache=none or cache=writethrough for the virtual disk (QEMU), or a host with protected caches");
  return finding(ok, "disk latency", seen);
}

std::uint64_t whole_mebibytes(std::uint64_t bytes) {
  return bytes >> 20;
}

Finding judge_space(const JournalFacts& facts, const JournalWishes& wishes) {
  const std::uint64_t room = facts.free_bytes + facts.used_bytes;
  const std::string seen = fmt::format("{} free, {} in the journal; journal.bytes_max is {}",
                                       readable_bytes(static_cast<double>(facts.free_bytes)),
                                       readable_bytes(static_cast<double>(facts.used_bytes)),
                                       readable_bytes(static_cast<double>(wishes.bytes_max)));
  if (room >= wishes.bytes_max + wishes.free_bytes_min) return finding(ok, "space", seen);
  const std::uint64_t fits = room > wishes.free_bytes_min ? room - wishes.free_bytes_min : 0;
  return finding(
      warning, "space", seen,
      "while the database is away the disk is full before the journal is: an outage is survived for a "
      "shorter time than configured",
      fits == 0 ? "journal.dir = \"/PATH/ON/A/LOCAL/DISK\"   # with more room; or free some"
                : fmt::format("journal.bytes_max = \"{}MiB\"   # or free space", whole_mebibytes(fits)));
}

}  // namespace

Findings judge_journal(const JournalFacts& facts, const JournalWishes& wishes) {
  if (!facts.enabled)
    return {finding(
        warning, "journal", "switched off",
        "a record is safe only when the database has it, and an outage of the database is one of the node",
        "journal.enabled = true")};
  Findings findings;
  for (const std::string& each : facts.problems)
    findings.push_back(
        finding(problem, "journal", each, "the node cannot start, or takes no records",
                facts.there ? "wellhead check --offline   # it tells when what the sentence asks for is done"
                            : making(facts)));
  if (!facts.problems.empty() && facts.file_system.empty()) return findings;
  findings.push_back(judge_directory(facts));
  findings.push_back(judge_file_system(facts));
  if (facts.latency.samples != 0) findings.push_back(judge_direct(facts, wishes));
  findings.push_back(judge_latency(facts));
  findings.push_back(judge_space(facts, wishes));
  return findings;
}

}  // namespace wellhead
