// The devices of one stream that are in memory, found by the hash and text of their names.
//
// Devices lie in slabs and never move. Slabs and the index grow with the most devices there ever were and are
// not given back; a device that went makes room for another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "scoring/field_group.hpp"

namespace wellhead {

inline constexpr std::int64_t never_us = std::numeric_limits<std::int64_t>::min();

// What readings teach of a device besides its fields' statistics; both are kept to be undone.
struct DeviceLearned {
  std::int64_t time_us = never_us;        // of the latest reading
  std::int64_t right_time_us = never_us;  // of the latest whose clock was not ahead
  std::uint16_t had_last = 0;             // scored fields the latest reading had
  std::uint8_t cautious = 0;              // fields whose caution is above 1
  bool clock_was_ahead = false;           // at the latest reading
  std::uint32_t reserved = 0;
};

// The groups of its fields lie behind it.
struct alignas(16) Device {
  std::uint64_t hash;
  std::unique_ptr<char[]> name;
  std::uint32_t name_bytes;
  std::uint32_t index;  // in the slabs of its stream
  // By the flush they were last in; see DeviceList.
  Device* seen_newer;
  Device* seen_older;
  Device* unsaved_newer;
  Device* unsaved_older;
  std::uint64_t flush;  // the latest it was in
  std::uint16_t stream;
  bool unsaved;
  bool leaving;    // with the commit of this flush
  bool saving;     // likewise
  bool not_saved;  // though it was to be
  DeviceLearned learned;

  [[nodiscard]] std::string_view text() const noexcept { return {name.get(), name_bytes}; }
  [[nodiscard]] FieldGroup* groups() noexcept { return reinterpret_cast<FieldGroup*>(this + 1); }
  [[nodiscard]] const FieldGroup* groups() const noexcept {
    return reinterpret_cast<const FieldGroup*>(this + 1);
  }
};

// Devices in an order, linked through two of their members.
template <Device* Device::* newer_link, Device* Device::* older_link>
class DeviceList {
 public:
  [[nodiscard]] Device* oldest() const noexcept { return oldest_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] static Device* newer(const Device& device) noexcept { return device.*newer_link; }

  void add_newest(Device& device) noexcept {
    device.*newer_link = nullptr;
    device.*older_link = newest_;
    (newest_ != nullptr ? newest_->*newer_link : oldest_) = &device;
    newest_ = &device;
    ++size_;
  }
  void remove(Device& device) noexcept {
    (device.*newer_link != nullptr ? (device.*newer_link)->*older_link : newest_) = device.*older_link;
    (device.*older_link != nullptr ? (device.*older_link)->*newer_link : oldest_) = device.*newer_link;
    --size_;
  }

 private:
  Device* newest_ = nullptr;
  Device* oldest_ = nullptr;
  std::size_t size_ = 0;
};
using SeenDevices = DeviceList<&Device::seen_newer, &Device::seen_older>;
using UnsavedDevices = DeviceList<&Device::unsaved_newer, &Device::unsaved_older>;

class DeviceTable {
 public:
  DeviceTable(std::uint16_t stream, std::uint32_t groups);
  ~DeviceTable();
  DeviceTable(const DeviceTable&) = delete;
  DeviceTable& operator=(const DeviceTable&) = delete;

  [[nodiscard]] Device* find(std::uint64_t hash, std::string_view text) const noexcept;
  // A device nothing is known of, in no list. REQUIRES it is not there.
  Device& add(std::uint64_t hash, std::string_view text);
  void remove(Device& device) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t device_bytes() const noexcept { return device_bytes_; }
  // As malloc() counts it.
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t device = 0;  // index + 1; 0: empty
  };
  struct SlabFree {
    void operator()(std::byte* memory) const noexcept;
  };

  [[nodiscard]] Device& at(std::uint32_t index) const noexcept;
  void grow_slots();
  void put_slot(Slot slot) noexcept;

  std::uint16_t stream_;
  std::uint32_t groups_;
  std::size_t device_bytes_;
  std::size_t size_ = 0;
  std::size_t name_memory_bytes_ = 0;
  std::uint32_t used_ = 0;  // of the slabs
  std::vector<std::unique_ptr<std::byte, SlabFree>> slabs_;
  std::vector<std::uint32_t> free_;
  std::vector<Slot> slots_;
};

}  // namespace wellhead
