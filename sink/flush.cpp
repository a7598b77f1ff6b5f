#include "sink/flush.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "codec/copy_binary.hpp"

namespace wellhead {
namespace {

constexpr std::size_t slots_min = 1024;

std::uint32_t position_of(const Schema& schema, const std::string& column) {
  const auto& columns = schema.columns();
  const auto found = std::ranges::find(columns, column, &ColumnConfig::name);
  WELLHEAD_ASSERT(found != columns.end());
  return static_cast<std::uint32_t>(found - columns.begin());
}

std::size_t common_bytes(std::string_view left, std::string_view right) {
  const auto [end, other] = std::ranges::mismatch(left, right);
  return static_cast<std::size_t>(end - left.begin());
}

// The first bytes as a number, in whose order the texts are as far as these bytes tell; zeros behind a
// shorter text, so texts of equal numbers have still to be compared.
std::uint64_t key_of(std::string_view text) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, text.data(), std::min(text.size(), sizeof(bytes)));
  return copy_binary::big_endian(bytes);
}

// A device's rows mostly arrive in the order of time: turning them round is then all there is to do.
void sort_run(std::span<SortedRow> run) {
  const auto not_rising = [](const SortedRow& left, const SortedRow& right) {
    return left.time_us >= right.time_us;
  };
  const auto newest_first = [](const SortedRow& left, const SortedRow& right) {
    if (left.time_us != right.time_us) return left.time_us > right.time_us;
    return left.arrival < right.arrival;
  };
  if (std::ranges::adjacent_find(run, not_rising) == run.end())
    std::ranges::reverse(run);
  else if (!std::ranges::is_sorted(run, newest_first))
    std::ranges::sort(run, newest_first);
}

}  // namespace

void FlushDevices::clear() noexcept {
  devices_.clear();
  ++flush_;
  // Numbers come round after four billion flushes; a slot that old must not look filled.
  if (flush_ == 0) {
    std::ranges::fill(slots_, Slot{});
    flush_ = 1;
  }
}

FlushDevices::Slot& FlushDevices::slot_of(std::uint64_t hash) noexcept {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].flush == flush_ && slots_[at].hash != hash) at = (at + 1) & mask;
  return slots_[at];
}

void FlushDevices::grow() {
  slots_.assign(std::max(slots_min, slots_.size() * 2), Slot{});
  for (std::uint32_t device = 0; device < devices_.size(); ++device) {
    const std::uint64_t hash = devices_[device].example->device_hash;
    slot_of(hash) = {hash, device, flush_};
  }
}

std::uint32_t FlushDevices::add(const RowHeader& header) {
  if (devices_.size() * 2 >= slots_.size()) grow();
  Slot& slot = slot_of(header.device_hash);
  if (slot.flush != flush_) {
    slot = {header.device_hash, static_cast<std::uint32_t>(devices_.size()), flush_};
    devices_.push_back({&header, 0, 0});
  }
  ++devices_[slot.device].row_count;
  return slot.device;
}

// By bytes. Names of devices mostly begin alike ("well-0…"), and lie all over memory: comparing them by eight
// bytes behind that, beside each other here, is three times as fast.
void FlushDevices::rank(std::uint32_t device_field) {
  ranked_.clear();
  for (std::uint32_t device = 0; device < devices_.size(); ++device)
    ranked_.push_back({0, field_of(*devices_[device].example, device_field), device});
  if (ranked_.empty()) return;
  std::string_view common = ranked_.front().text;
  for (const Ranked& ranked : ranked_) common = common.substr(0, common_bytes(common, ranked.text));
  for (Ranked& ranked : ranked_) ranked.key = key_of(ranked.text.substr(common.size()));
  std::ranges::sort(ranked_, [](const Ranked& left, const Ranked& right) {
    if (left.key != right.key) return left.key < right.key;
    return left.text < right.text;
  });
}

void FlushDevices::lay_out(std::uint32_t device_field) {
  rank(device_field);
  std::uint32_t first_row = 0;
  for (const Ranked& ranked : ranked_) {
    devices_[ranked.device].first_row = first_row;
    first_row += devices_[ranked.device].row_count;
  }
}

Flush::Flush(std::span<const SchemaPointer> schemas) {
  for (const SchemaPointer& schema : schemas) {
    WELLHEAD_ASSERT(schema->index() == streams_.size());
    streams_.push_back({position_of(*schema, schema->config().device_column), {}, {}, {}});
  }
}

void Flush::assign(std::span<Batch* const> batches) {
  for (Stream& stream : streams_) {
    stream.devices.clear();
    stream.arrived.clear();
  }
  batch_first_arrival_.clear();
  row_count_ = 0;
  for (const Batch* batch : batches) {
    batch_first_arrival_.push_back(row_count_);
    for_each_row(*batch, [&](const RowHeader& header, std::span<const std::byte>, std::uint32_t row) {
      WELLHEAD_ASSERT(header.stream < streams_.size());
      Stream& stream = streams_[header.stream];
      stream.arrived.push_back({&header, row_count_ + row, stream.devices.add(header)});
    });
    row_count_ += batch->row_count();
  }
  for (Stream& stream : streams_) sort(stream);
}

void Flush::sort(Stream& stream) {
  stream.devices.lay_out(stream.device_field);
  stream.sorted.resize(stream.arrived.size());
  auto& devices = stream.devices.devices();
  for (const Arrived& row : stream.arrived)
    stream.sorted[devices[row.device].first_row++] = {row.header->time_us, row.header, row.arrival};
  for (const FlushDevices::Device& device : devices)
    sort_run(std::span(stream.sorted).subspan(device.first_row - device.row_count, device.row_count));
}

Flush::Place Flush::place_of(std::uint32_t arrival) const noexcept {
  WELLHEAD_ASSERT(arrival < row_count_);
  // Empty batches share their first arrival with the next: upper_bound lands behind the last of them.
  const auto after = std::ranges::upper_bound(batch_first_arrival_, arrival);
  const auto batch = static_cast<std::size_t>(after - batch_first_arrival_.begin()) - 1;
  return {batch, arrival - batch_first_arrival_[batch]};
}

}  // namespace wellhead
