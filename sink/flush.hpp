// The rows of one flush in the order they go to the database: per stream, by (device, time descending), which
// is the order of the tables' index, so that a COPY fills the B-tree's pages one after another.
//
// Devices are ordered by their text as bytes, the index's order under the C collation and near it under
// others. Rows of one device and one time keep the order they arrived in, so the first of two duplicates
// wins.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "codec/row.hpp"
#include "codec/schema.hpp"
#include "codec/sorted_row.hpp"
#include "queue/batch.hpp"

namespace wellhead {

// Devices of one stream in one flush, found by hash. Memory is kept from flush to flush.
class FlushDevices {
 public:
  struct Device {
    const RowHeader* example;  // a row of it, to read its text from
    std::uint32_t row_count;
    std::uint32_t first_row;  // of its run in the sorted rows
  };

  void clear() noexcept;
  // The device's index, new or known; counts the row.
  std::uint32_t add(const RowHeader& header);
  // Lays the devices' runs out in the order of their text.
  void lay_out(std::uint32_t device_field);
  [[nodiscard]] std::vector<Device>& devices() noexcept { return devices_; }
  [[nodiscard]] std::size_t count() const noexcept { return devices_.size(); }

 private:
  struct Slot {
    std::uint64_t hash;
    std::uint32_t device;
    std::uint32_t flush;  // the slot is empty unless this is the current flush's number
  };
  struct Ranked {
    std::uint64_t
        key;  // of the text's bytes behind what all texts begin with: decides nearly every comparison
    std::string_view text;
    std::uint32_t device;
  };

  void grow();
  void rank(std::uint32_t device_field);
  [[nodiscard]] Slot& slot_of(std::uint64_t hash) noexcept;

  std::vector<Slot> slots_;
  std::uint32_t flush_ = 0;
  std::vector<Device> devices_;
  std::vector<Ranked> ranked_;
};

// Buffers are kept from flush to flush: no allocation once the largest was seen.
class Flush {
 public:
  // REQUIRES schemas[i]->index() == i.
  explicit Flush(std::span<const SchemaPointer> schemas);

  // Sorts the rows of `batches`, which must live and stay as they are until the next assign().
  void assign(std::span<Batch* const> batches);

  [[nodiscard]] std::size_t stream_count() const noexcept { return streams_.size(); }
  [[nodiscard]] std::span<const SortedRow> rows(std::size_t stream) const noexcept {
    return streams_[stream].sorted;
  }
  [[nodiscard]] std::uint32_t row_count() const noexcept { return row_count_; }
  // Devices that the rows of a stream are of.
  [[nodiscard]] std::size_t device_count(std::size_t stream) const noexcept {
    return streams_[stream].devices.count();
  }

  struct Place {
    std::size_t batch;  // in the order of assign()
    std::uint32_t row;  // within the batch
  };
  [[nodiscard]] Place place_of(std::uint32_t arrival) const noexcept;

 private:
  struct Arrived {
    const RowHeader* header;
    std::uint32_t arrival;
    std::uint32_t device;
  };
  struct Stream {
    std::uint32_t device_field;
    FlushDevices devices;
    std::vector<Arrived> arrived;
    std::vector<SortedRow> sorted;
  };

  void sort(Stream& stream);

  std::vector<Stream> streams_;
  std::vector<std::uint32_t> batch_first_arrival_;
  std::uint32_t row_count_ = 0;
};

}  // namespace wellhead
