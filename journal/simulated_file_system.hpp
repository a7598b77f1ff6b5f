// A file system in memory that loses and tears what was not synchronized, runs full and fails, the same way
// for the same seed. What it may lose is what a disk, a kernel and POSIX may lose together:
//
//   written, not synchronized     any subset of the sectors, and the size may be the old one
//   create, rename, remove        any prefix of those whose directory was not synchronized since
//   O_DIRECT | O_DSYNC            durable when the write returns; the power may go in the middle of it, and
//                                 then any subset of its sectors is there
//   a failed synchronization      what it did not write is dropped and counts as clean: the next one succeeds
//                                 without it
//
// One thread. A copy is a disk of its own with the same future (see fork()), so that a test can go on from
// one moment in several ways.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "journal/file_system.hpp"
#include "journal/simulated_inode.hpp"

namespace wellhead {

struct SimulatedDiskOptions {
  std::uint64_t seed = 1;
  std::size_t sector_bytes = 512;
  std::uint64_t disk_bytes = UINT64_MAX;  // then ENOSPC
  bool direct = true;                     // false: OpenMode::synchronous_direct is EINVAL
};

enum class SimulatedCall : std::uint8_t {
  open,
  read,
  write,
  synchronize,
  allocate,
  truncate,
  list,
  make_directory,
  rename,
  remove,
  synchronize_directory,
};

// A failure to come, of calls of one kind.
struct SimulatedFault {
  static constexpr int shortened = 0;  // as `error` of a read or write: less is done than was asked

  SimulatedCall call;
  int error = EIO;
  std::uint64_t in = 0;      // the in-th such call from now fails, once; 1 is the next
  double probability = 0.0;  // where `in` is 0: of each such call until disarm()
};

class SimulatedFileSystem final : public FileSystem {
 public:
  explicit SimulatedFileSystem(const SimulatedDiskOptions& options);
  ~SimulatedFileSystem() override;

  // The same disk, page cache, faults and random state, and no open file. Files opened here stay files of
  // this one.
  [[nodiscard]] std::unique_ptr<SimulatedFileSystem> fork() const;
  // Other decisions from here on.
  void reseed(std::uint64_t seed) { random_ = SimulatedRandom(seed); }

  void arm(const SimulatedFault& fault) { faults_.push_back(fault); }
  // Takes back every fault and loss of power to come.
  void disarm() {
    faults_.clear();
    power_loss_at_ = UINT64_MAX;
  }
  // The power goes during the `change`-th call from now that changes something (1 is the next): that call may
  // have any of its effects, it and all later calls answer EIO until crash().
  void lose_power_in(std::uint64_t change) { power_loss_at_ = changes_ + change; }
  [[nodiscard]] bool powered() const noexcept { return powered_; }
  // Calls that changed something or tried to, so far.
  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  // Power loss and restart: what was not synchronized is kept or lost by the seed, open files answer EBADF
  // from here on, armed faults are gone, the power is back.
  void crash();

  void set_disk_bytes(std::uint64_t bytes) { options_.disk_bytes = bytes; }
  void set_direct(bool direct) { options_.direct = direct; }
  // Every change answers EROFS.
  void set_read_only(bool read_only) { read_only_ = read_only; }
  // As if another process had taken the directory.
  void set_locked_elsewhere(bool locked) { locked_elsewhere_ = locked; }
  void set_permission_problem(std::string problem) { permission_problem_ = std::move(problem); }
  // The bytes of a file, to damage them; empty where there is no such file. Valid until the next call.
  [[nodiscard]] std::span<std::byte> contents(const std::string& path);
  // Cuts a file off, durably.
  void cut(const std::string& path, std::uint64_t bytes);

  [[nodiscard]] FileResult<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  [[nodiscard]] FileResult<std::vector<std::string>> list(const std::string& directory) override;
  [[nodiscard]] FileResult<void> make_directory(const std::string& path) override;
  [[nodiscard]] FileResult<void> rename(const std::string& from, const std::string& to) override;
  [[nodiscard]] FileResult<void> remove(const std::string& path) override;
  [[nodiscard]] FileResult<void> synchronize_directory(const std::string& path) override;
  [[nodiscard]] FileResult<std::uint64_t> free_bytes() override;
  [[nodiscard]] FileResult<void> lock() override;
  [[nodiscard]] std::string permission_problem() override { return permission_problem_; }

 private:
  friend class SimulatedFile;

  SimulatedFileSystem(const SimulatedFileSystem&) = default;  // for fork(), which then parts the files

  using InodePointer = std::shared_ptr<SimulatedInode>;
  using Names = std::map<std::string, InodePointer>;  // by whole path
  // A change of names that may not be on the disk yet.
  struct NameChange {
    std::string removed;  // empty: none
    std::string added;    // empty: none
    InodePointer inode;
  };
  // What a call is to do apart from succeeding.
  struct Verdict {
    int error = 0;            // then nothing is done, or what the kind of call does when it fails
    bool shorten = false;     // do less than asked
    bool power_loss = false;  // do any part of it, and answer EIO
  };

  [[nodiscard]] Verdict judge(SimulatedCall call);
  [[nodiscard]] int armed_error(SimulatedCall call, bool& shorten);
  [[nodiscard]] FileResult<void> change_names(SimulatedCall call, NameChange change);
  [[nodiscard]] std::uint64_t used_bytes() const;
  [[nodiscard]] std::uint64_t room_for(std::uint64_t size_now, std::uint64_t size_wanted) const;
  static void apply(Names& names, const NameChange& change);
  static void drop_orphans(Names& names);

  SimulatedDiskOptions options_;
  SimulatedRandom random_;
  Names names_;                        // as the process sees them
  Names durable_names_;                // as the disk has them
  std::vector<NameChange> unsettled_;  // between the two, oldest first
  std::vector<SimulatedFault> faults_;
  std::uint64_t changes_ = 0;
  std::uint64_t power_loss_at_ = UINT64_MAX;
  std::uint64_t boots_ = 0;  // open files of an earlier one are dead
  bool powered_ = true;
  bool read_only_ = false;
  bool locked_elsewhere_ = false;
  std::string permission_problem_;
};

}  // namespace wellhead
