#include "journal/simulated_file_system.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::size_t direct_alignment = 4096;

// The root has the empty path; "." is the same.
std::string normal(const std::string& path) {
  if (path == "." || path == "/") return {};
  std::string plain = path.starts_with("./") ? path.substr(2) : path;
  while (plain.ends_with('/')) plain.pop_back();
  return plain;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

bool changes_something(SimulatedCall call) {
  return call != SimulatedCall::read && call != SimulatedCall::list && call != SimulatedCall::open;
}

bool aligned(const iovec& piece) {
  return reinterpret_cast<std::uintptr_t>(piece.iov_base) % direct_alignment == 0 &&
         piece.iov_len % direct_alignment == 0;
}

std::vector<std::byte> gather(std::span<const iovec> pieces) {
  std::vector<std::byte> bytes;
  for (const iovec& piece : pieces) {
    const auto* begin = static_cast<const std::byte*>(piece.iov_base);
    bytes.insert(bytes.end(), begin, begin + piece.iov_len);
  }
  return bytes;
}

}  // namespace

class SimulatedFile final : public File {
 public:
  SimulatedFile(SimulatedFileSystem& disk, std::shared_ptr<SimulatedInode> inode, OpenMode mode)
      : disk_(disk), inode_(std::move(inode)), mode_(mode), boot_(disk.boots_) {}

  [[nodiscard]] int descriptor() const noexcept override { return -1; }
  [[nodiscard]] FileResult<std::uint64_t> size() const override;
  [[nodiscard]] FileResult<std::size_t> read(std::span<std::byte> into, std::uint64_t offset) override;
  [[nodiscard]] FileResult<std::size_t> write(std::span<const iovec> pieces, std::uint64_t offset) override;
  [[nodiscard]] FileResult<void> synchronize() override;
  [[nodiscard]] FileResult<void> allocate(std::uint64_t bytes) override;
  [[nodiscard]] FileResult<void> truncate(std::uint64_t bytes) override;

 private:
  using Verdict = SimulatedFileSystem::Verdict;

  [[nodiscard]] bool direct() const noexcept { return mode_ == OpenMode::synchronous_direct; }
  // EBADF where the call is not for this file, else 0.
  [[nodiscard]] int refusal(bool to_write) const noexcept;
  [[nodiscard]] FileResult<std::size_t> write_through(std::span<const std::byte> bytes, std::uint64_t offset,
                                                      const Verdict& verdict);
  [[nodiscard]] FileResult<std::size_t> write_cached(std::span<const std::byte> bytes, std::uint64_t offset,
                                                     const Verdict& verdict);
  // The first sectors of a write: not all of them where there are several.
  [[nodiscard]] std::span<const std::byte> some_of(std::span<const std::byte> bytes);
  [[nodiscard]] FileResult<void> resize(SimulatedCall call, std::uint64_t bytes);

  SimulatedFileSystem& disk_;
  std::shared_ptr<SimulatedInode> inode_;
  OpenMode mode_;
  std::uint64_t boot_;
};

int SimulatedFile::refusal(bool to_write) const noexcept {
  if (boot_ != disk_.boots_) return EBADF;
  const bool reads_only = mode_ == OpenMode::read || mode_ == OpenMode::read_direct;
  return to_write && reads_only ? EBADF : 0;
}

FileResult<std::uint64_t> SimulatedFile::size() const {
  if (const int error = refusal(false)) return std::unexpected(error);
  if (!disk_.powered_) return std::unexpected(EIO);
  return inode_->size();
}

FileResult<std::size_t> SimulatedFile::read(std::span<std::byte> into, std::uint64_t offset) {
  if (const int error = refusal(false)) return std::unexpected(error);
  if (mode_ == OpenMode::read_direct)
    WELLHEAD_ASSERT(offset % direct_alignment == 0 && aligned({into.data(), into.size()}));
  const Verdict verdict = disk_.judge(SimulatedCall::read);
  if (verdict.error != 0) return std::unexpected(verdict.error);
  if (verdict.shorten && into.size() > 1) into = into.first(1 + disk_.random_.below(into.size() - 1));
  return inode_->read(into, offset);
}

FileResult<std::size_t> SimulatedFile::write(std::span<const iovec> pieces, std::uint64_t offset) {
  if (const int error = refusal(true)) return std::unexpected(error);
  // The kernel says EINVAL too; here it is found even where nobody looks at the result.
  if (direct()) WELLHEAD_ASSERT(offset % direct_alignment == 0 && std::ranges::all_of(pieces, aligned));
  std::vector<std::byte> bytes = gather(pieces);
  const Verdict verdict = disk_.judge(SimulatedCall::write);
  if (verdict.error == 0 || verdict.power_loss) {
    const std::uint64_t room = disk_.room_for(inode_->size(), offset + bytes.size());
    if (room <= offset && !bytes.empty()) return std::unexpected(ENOSPC);
    bytes.resize(std::min<std::uint64_t>(bytes.size(), room - offset));
  }
  return direct() ? write_through(bytes, offset, verdict) : write_cached(bytes, offset, verdict);
}

FileResult<std::size_t> SimulatedFile::write_through(std::span<const std::byte> bytes, std::uint64_t offset,
                                                     const Verdict& verdict) {
  const std::size_t sector = disk_.options_.sector_bytes;
  bytes = bytes.first(bytes.size() / sector * sector);
  if (verdict.error != 0) {
    // EIO in the middle of it: some of it is there, and nobody knows what.
    if (verdict.power_loss || (disk_.powered_ && verdict.error == EIO))
      inode_->write_through(bytes, offset, disk_.random_.survival(), disk_.random_);
    return std::unexpected(verdict.error);
  }
  if (verdict.shorten) bytes = some_of(bytes);
  inode_->write_through(bytes, offset, 1.0, disk_.random_);
  return bytes.size();
}

// The kernel copies page by page, and a sector is never half of the old and half of the new.
std::span<const std::byte> SimulatedFile::some_of(std::span<const std::byte> bytes) {
  const std::size_t sector = disk_.options_.sector_bytes;
  const std::uint64_t sectors = (bytes.size() + sector - 1) / sector;
  return sectors < 2 ? bytes : bytes.first((1 + disk_.random_.below(sectors - 1)) * sector);
}

FileResult<std::size_t> SimulatedFile::write_cached(std::span<const std::byte> bytes, std::uint64_t offset,
                                                    const Verdict& verdict) {
  if (verdict.error != 0) {
    if (verdict.power_loss && disk_.random_.chance(0.5)) inode_->write(some_of(bytes), offset);
    return std::unexpected(verdict.error);
  }
  if (verdict.shorten) bytes = some_of(bytes);
  inode_->write(bytes, offset);
  return bytes.size();
}

FileResult<void> SimulatedFile::synchronize() {
  if (const int error = refusal(false)) return std::unexpected(error);
  const Verdict verdict = disk_.judge(SimulatedCall::synchronize);
  if (verdict.error == 0) {
    inode_->synchronize();
    return {};
  }
  if (!verdict.power_loss && disk_.powered_) inode_->lose_unsynchronized(disk_.random_);
  return std::unexpected(verdict.error);
}

FileResult<void> SimulatedFile::resize(SimulatedCall call, std::uint64_t bytes) {
  if (const int error = refusal(true)) return std::unexpected(error);
  const Verdict verdict = disk_.judge(call);
  if (verdict.error != 0 && !verdict.power_loss) return std::unexpected(verdict.error);
  if (disk_.room_for(inode_->size(), bytes) < bytes) return std::unexpected(ENOSPC);
  if (!verdict.power_loss || disk_.random_.chance(0.5)) inode_->resize(bytes);
  if (verdict.error != 0) return std::unexpected(verdict.error);
  return {};
}

FileResult<void> SimulatedFile::allocate(std::uint64_t bytes) {
  return resize(SimulatedCall::allocate, std::max(bytes, inode_->size()));
}

FileResult<void> SimulatedFile::truncate(std::uint64_t bytes) {
  return resize(SimulatedCall::truncate, bytes);
}

SimulatedFileSystem::SimulatedFileSystem(const SimulatedDiskOptions& options)
    : options_(options), random_(options.seed) {
  WELLHEAD_ASSERT(options.sector_bytes > 0 && direct_alignment % options.sector_bytes == 0);
}

SimulatedFileSystem::~SimulatedFileSystem() = default;

std::unique_ptr<SimulatedFileSystem> SimulatedFileSystem::fork() const {
  std::unique_ptr<SimulatedFileSystem> copy(new SimulatedFileSystem(*this));
  std::map<const SimulatedInode*, InodePointer> copies;
  const auto own = [&copies](InodePointer& inode) {
    if (inode == nullptr) return;
    InodePointer& mine = copies[inode.get()];
    if (mine == nullptr) mine = std::make_shared<SimulatedInode>(*inode);
    inode = mine;
  };
  for (auto& [path, inode] : copy->names_) own(inode);
  for (auto& [path, inode] : copy->durable_names_) own(inode);
  for (NameChange& change : copy->unsettled_) own(change.inode);
  return copy;
}

int SimulatedFileSystem::armed_error(SimulatedCall call, bool& shorten) {
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->call != call) continue;
    const bool counted = fault->in > 0;
    if (counted ? --fault->in > 0 : !random_.chance(fault->probability)) continue;
    const int error = fault->error;
    if (counted) faults_.erase(fault);
    shorten = error == SimulatedFault::shortened;
    return error;
  }
  return 0;
}

SimulatedFileSystem::Verdict SimulatedFileSystem::judge(SimulatedCall call) {
  Verdict verdict;
  if (!powered_) return {.error = EIO};
  if (changes_something(call) && ++changes_ >= power_loss_at_) {
    powered_ = false;
    return {.error = EIO, .power_loss = true};
  }
  if (read_only_ && changes_something(call)) return {.error = EROFS};
  verdict.error = armed_error(call, verdict.shorten);
  return verdict;
}

void SimulatedFileSystem::crash() {
  const std::size_t kept = random_.below(unsettled_.size() + 1);
  for (std::size_t change = 0; change < kept; ++change) apply(durable_names_, unsettled_[change]);
  unsettled_.clear();
  drop_orphans(durable_names_);
  names_ = durable_names_;
  for (auto& [path, inode] : names_) inode->crash(random_);
  faults_.clear();
  power_loss_at_ = UINT64_MAX;
  powered_ = true;
  ++boots_;
}

void SimulatedFileSystem::apply(Names& names, const NameChange& change) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.added.empty()) names[change.added] = change.inode;
}

// A directory that did not survive takes what is in it along.
void SimulatedFileSystem::drop_orphans(Names& names) {
  for (auto at = names.begin(); at != names.end();) {
    const std::string parent = parent_of(at->first);
    at = parent.empty() || names.contains(parent) ? std::next(at) : names.erase(at);
  }
}

FileResult<void> SimulatedFileSystem::change_names(SimulatedCall call, NameChange change) {
  const Verdict verdict = judge(call);
  if (verdict.error != 0 && !verdict.power_loss) return std::unexpected(verdict.error);
  apply(names_, change);
  unsettled_.push_back(std::move(change));
  if (verdict.error != 0) return std::unexpected(verdict.error);
  return {};
}

std::span<std::byte> SimulatedFileSystem::contents(const std::string& path) {
  const auto found = names_.find(normal(path));
  return found == names_.end() ? std::span<std::byte>() : found->second->bytes();
}

void SimulatedFileSystem::cut(const std::string& path, std::uint64_t bytes) {
  const auto found = names_.find(normal(path));
  WELLHEAD_ASSERT(found != names_.end());
  found->second->resize(bytes);
  found->second->synchronize();
}

FileResult<std::unique_ptr<File>> SimulatedFileSystem::open(const std::string& path, OpenMode mode) {
  const Verdict verdict = judge(SimulatedCall::open);
  if (verdict.error != 0) return std::unexpected(verdict.error);
  const std::string name = normal(path);
  const bool reads_only = mode == OpenMode::read || mode == OpenMode::read_direct;
  const bool goes_direct = mode == OpenMode::synchronous_direct || mode == OpenMode::read_direct;
  if (goes_direct && !options_.direct) return std::unexpected(EINVAL);
  if (!reads_only && read_only_) return std::unexpected(EROFS);
  auto found = names_.find(name);
  if (mode == OpenMode::create) {
    const std::string parent = parent_of(name);
    if (found != names_.end()) return std::unexpected(EEXIST);
    if (!parent.empty() && !names_.contains(parent)) return std::unexpected(ENOENT);
    auto inode = std::make_shared<SimulatedInode>(options_.sector_bytes, false);
    // Creating is a change of names; the fault for it is that of open.
    if (++changes_ >= power_loss_at_) powered_ = false;
    found = names_.emplace(name, inode).first;
    unsettled_.push_back({{}, name, inode});
    if (!powered_) return std::unexpected(EIO);
  }
  if (found == names_.end()) return std::unexpected(ENOENT);
  if (found->second->directory()) return std::unexpected(EISDIR);
  return std::make_unique<SimulatedFile>(*this, found->second, mode);
}

FileResult<std::vector<std::string>> SimulatedFileSystem::list(const std::string& directory) {
  const Verdict verdict = judge(SimulatedCall::list);
  if (verdict.error != 0) return std::unexpected(verdict.error);
  const std::string path = normal(directory);
  if (!path.empty() && !names_.contains(path)) return std::unexpected(ENOENT);
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_)
    if (parent_of(name) == path) names.push_back(path.empty() ? name : name.substr(path.size() + 1));
  return names;
}

FileResult<void> SimulatedFileSystem::make_directory(const std::string& path) {
  const std::string name = normal(path);
  if (const auto found = names_.find(name); powered_ && (name.empty() || found != names_.end())) {
    if (name.empty() || found->second->directory()) return {};
    return std::unexpected(EEXIST);
  }
  const std::string parent = parent_of(name);
  if (!parent.empty() && !names_.contains(parent)) return std::unexpected(ENOENT);
  return change_names(SimulatedCall::make_directory,
                      {{}, name, std::make_shared<SimulatedInode>(options_.sector_bytes, true)});
}

FileResult<void> SimulatedFileSystem::rename(const std::string& from, const std::string& to) {
  const auto found = names_.find(normal(from));
  const std::string parent = parent_of(normal(to));
  if (found == names_.end() || (!parent.empty() && !names_.contains(parent))) return std::unexpected(ENOENT);
  WELLHEAD_ASSERT(!found->second->directory());  // nobody needs it, and it would move what is inside
  return change_names(SimulatedCall::rename, {normal(from), normal(to), found->second});
}

FileResult<void> SimulatedFileSystem::remove(const std::string& path) {
  const auto found = names_.find(normal(path));
  if (found == names_.end()) return std::unexpected(ENOENT);
  if (found->second->directory()) return std::unexpected(EISDIR);
  return change_names(SimulatedCall::remove, {normal(path), {}, found->second});
}

// Also makes durable what the file was called before, wherever that was: a name cannot be durable for a file
// that is not.
FileResult<void> SimulatedFileSystem::synchronize_directory(const std::string& path) {
  const Verdict verdict = judge(SimulatedCall::synchronize_directory);
  if (verdict.error != 0) return std::unexpected(verdict.error);
  const std::string directory = normal(path);
  const auto touches = [&directory](const std::string& name) {
    return !name.empty() && parent_of(name) == directory;
  };
  std::set<const SimulatedInode*> settled;
  for (const NameChange& change : unsettled_)
    if (touches(change.removed) || touches(change.added)) settled.insert(change.inode.get());
  std::erase_if(unsettled_, [&](const NameChange& change) {
    if (!settled.contains(change.inode.get())) return false;
    apply(durable_names_, change);
    return true;
  });
  return {};
}

std::uint64_t SimulatedFileSystem::used_bytes() const {
  std::uint64_t used = 0;
  for (const auto& [path, inode] : names_) used += inode->size();
  return used;
}

std::uint64_t SimulatedFileSystem::room_for(std::uint64_t size_now, std::uint64_t size_wanted) const {
  if (size_wanted <= size_now || options_.disk_bytes == UINT64_MAX) return size_wanted;
  const std::uint64_t used = used_bytes();
  const std::uint64_t free = used < options_.disk_bytes ? options_.disk_bytes - used : 0;
  return std::min(size_wanted, size_now + free);
}

FileResult<std::uint64_t> SimulatedFileSystem::free_bytes() {
  if (!powered_) return std::unexpected(EIO);
  if (options_.disk_bytes == UINT64_MAX) return std::uint64_t{1} << 50U;
  const std::uint64_t used = used_bytes();
  return used < options_.disk_bytes ? options_.disk_bytes - used : 0;
}

FileResult<void> SimulatedFileSystem::lock() {
  if (!powered_) return std::unexpected(EIO);
  if (locked_elsewhere_) return std::unexpected(EWOULDBLOCK);
  return {};
}

}  // namespace wellhead
