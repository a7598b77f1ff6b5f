// A flush's rows into the order of the index, and gathered from all over their batches into COPY's messages.
//
//   build/release/bin/sort_bench        one after the other; ./dev bench micro in turn
//
// The reference of the sort is std::sort of (device, time) alone, with the devices' order known before: the
// flush also goes through the batches, finds the devices and orders their names.
#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/assert.hpp"
#include "bench/flush_rows.hpp"
#include "bench/stage.hpp"
#include "sink/copy_stream.hpp"

namespace wellhead::bench {
namespace {

// A server that takes everything and keeps nothing.
class ForgettingDatabase final : public Database {
 public:
  void interrupt_with(const std::atomic<bool>*) noexcept override {}
  void on_notice(std::function<void(const DatabaseNotice&)>) override {}
  DatabaseResult<void> connect() override { return {}; }
  void disconnect() noexcept override {}
  bool connected() const noexcept override { return true; }
  bool in_transaction() const noexcept override { return true; }
  bool alive() override { return true; }
  DatabaseResult<DatabaseStep> run(std::string_view) override { return DatabaseStep{}; }
  DatabaseResult<void> copy_data(std::span<const std::byte> bytes) override {
    benchmark::DoNotOptimize(bytes.data());
    return {};
  }
  DatabaseResult<DatabaseStep> copy_end() override { return DatabaseStep{}; }
  DatabaseResult<DatabaseRows> query(std::string_view) override { return DatabaseRows{}; }
};

struct Pair {
  std::uint32_t device;
  std::int64_t time_us;
  const RowHeader* row;
};

// As they arrive, the devices numbered in the order of their names.
std::vector<Pair> pairs_of(FlushRows& rows) {
  std::unordered_map<std::uint64_t, std::uint32_t> numbers;
  for (const SortedRow& row : rows.assign())
    numbers.try_emplace(row.header->device_hash, static_cast<std::uint32_t>(numbers.size()));
  std::vector<Pair> pairs;
  for (const Batch* batch : rows.batches())
    for_each_row(*batch, [&](const RowHeader& header, std::span<const std::byte>, std::uint32_t) {
      pairs.push_back({numbers.at(header.device_hash), header.time_us, &header});
    });
  return pairs;
}

class SortPairs {
 public:
  explicit SortPairs(std::uint32_t devices) : rows_(devices), arrived_(pairs_of(rows_)) {}

  void operator()() {
    sorted_ = arrived_;
    std::sort(sorted_.begin(), sorted_.end(), [](const Pair& one, const Pair& other) {
      return one.device != other.device ? one.device < other.device : one.time_us > other.time_us;
    });
    benchmark::DoNotOptimize(sorted_.data());
  }

 private:
  FlushRows rows_;
  std::vector<Pair> arrived_;
  std::vector<Pair> sorted_;
};

class Gather {
 public:
  explicit Gather(std::uint32_t devices) : rows_(devices), sorted_(rows_.assign()) {}

  void operator()() { WELLHEAD_ASSERT(stream_.send(database_, sorted_).has_value()); }
  [[nodiscard]] std::size_t bytes() { return stream_.send(database_, sorted_).value(); }

 private:
  FlushRows rows_;
  std::span<const SortedRow> sorted_;
  ForgettingDatabase database_;
  CopyStream stream_;
};

void add_sort(std::uint32_t devices) {
  const Case about{"sort", std::to_string(devices) + "_devices", "row", FlushRows::row_count};
  measure(about, [devices](benchmark::State&) {
    return [rows = std::make_shared<FlushRows>(devices)] { benchmark::DoNotOptimize(rows->assign().data()); };
  });
  measure_reference(about, "std_sort", [devices](benchmark::State&) {
    return [pairs = std::make_shared<SortPairs>(devices)] { (*pairs)(); };
  });
}

void add_gather(std::uint32_t devices) {
  const Case about{"gather", std::to_string(devices) + "_devices", "row", FlushRows::row_count};
  measure(about, [devices](benchmark::State&) {
    return [gather = std::make_shared<Gather>(devices)] { (*gather)(); };
  });
  measure_memcpy(about, Gather(devices).bytes());
}

}  // namespace

void enlist() {
  for (const std::uint32_t devices : {100U, 1'000U, 10'000U}) {
    add_sort(devices);
    add_gather(devices);
  }
}

}  // namespace wellhead::bench
