#include "scoring/device_table.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t slab_devices = 256;
constexpr std::size_t slots_min = 1024;
constexpr std::align_val_t slab_alignment{64};

// The shard is chosen by the hash's remainder, so the upper half is the one that still differs within it.
std::uint32_t tag_of(std::uint64_t hash) noexcept {
  return static_cast<std::uint32_t>(hash >> 32);
}

// What an allocation costs with its bookkeeping (glibc: 8 bytes, rounded to 16, 32 at least).
std::size_t allocated_bytes(std::size_t bytes) noexcept {
  return std::max<std::size_t>(32, (bytes + 8 + 15) / 16 * 16);
}

}  // namespace

void DeviceTable::SlabFree::operator()(std::byte* memory) const noexcept {
  ::operator delete(memory, slab_alignment);
}

DeviceTable::DeviceTable(std::uint16_t stream, std::uint32_t groups)
    : stream_(stream), groups_(groups), device_bytes_(sizeof(Device) + groups * sizeof(FieldGroup)) {
  slots_.resize(slots_min);
}

DeviceTable::~DeviceTable() {
  for (const Slot& slot : slots_)
    if (slot.device != 0) std::destroy_at(&at(slot.device - 1));
}

Device& DeviceTable::at(std::uint32_t index) const noexcept {
  return *reinterpret_cast<Device*>(slabs_[index / slab_devices].get() +
                                    index % slab_devices * device_bytes_);
}

Device* DeviceTable::find(std::uint64_t hash, std::string_view text) const noexcept {
  const std::size_t mask = slots_.size() - 1;
  const std::uint32_t tag = tag_of(hash);
  for (std::size_t place = tag & mask; slots_[place].device != 0; place = (place + 1) & mask) {
    if (slots_[place].tag != tag) continue;
    Device& device = at(slots_[place].device - 1);
    if (device.hash == hash && device.text() == text) return &device;
  }
  return nullptr;
}

void DeviceTable::put_slot(Slot slot) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t place = slot.tag & mask;
  while (slots_[place].device != 0) place = (place + 1) & mask;
  slots_[place] = slot;
}

void DeviceTable::grow_slots() {
  std::vector<Slot> before(slots_.size() * 2);
  before.swap(slots_);
  for (const Slot& slot : before)
    if (slot.device != 0) put_slot(slot);
}

Device& DeviceTable::add(std::uint64_t hash, std::string_view text) {
  if ((size_ + 1) * 4 > slots_.size() * 3) grow_slots();
  if (free_.empty() && used_ == slabs_.size() * slab_devices)
    slabs_.emplace_back(
        static_cast<std::byte*>(::operator new(slab_devices * device_bytes_, slab_alignment)));
  std::uint32_t index = used_;
  if (free_.empty()) {
    ++used_;
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Device* const device = new (&at(index)) Device{};
  std::uninitialized_value_construct_n(device->groups(), groups_);
  device->hash = hash;
  device->stream = stream_;
  device->index = index;
  device->name = std::make_unique_for_overwrite<char[]>(text.size());
  device->name_bytes = static_cast<std::uint32_t>(text.size());
  std::ranges::copy(text, device->name.get());
  name_memory_bytes_ += allocated_bytes(text.size());
  put_slot({tag_of(hash), index + 1});
  ++size_;
  return *device;
}

void DeviceTable::remove(Device& device) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = tag_of(device.hash) & mask;
  while (slots_[hole].device != device.index + 1) {
    WELLHEAD_ASSERT(slots_[hole].device != 0);
    hole = (hole + 1) & mask;
  }
  // Those behind it that would not be found across the hole move into it (Knuth, 6.4, algorithm R).
  for (std::size_t next = (hole + 1) & mask; slots_[next].device != 0; next = (next + 1) & mask) {
    const std::size_t home = slots_[next].tag & mask;
    if (((next - home) & mask) < ((next - hole) & mask)) continue;
    slots_[hole] = slots_[next];
    hole = next;
  }
  slots_[hole] = {};
  name_memory_bytes_ -= allocated_bytes(device.name_bytes);
  free_.push_back(device.index);
  std::destroy_at(&device);
  --size_;
}

std::size_t DeviceTable::memory_bytes() const noexcept {
  return slabs_.size() * (slab_devices * device_bytes_) + slots_.capacity() * sizeof(Slot) +
         free_.capacity() * sizeof(std::uint32_t) + slabs_.capacity() * sizeof(slabs_[0]) +
         name_memory_bytes_;
}

}  // namespace wellhead
