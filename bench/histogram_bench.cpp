// Recording a latency in the histogram that metrics are made of, beside counting it in a plain array.
//
//   build/release/bin/histogram_bench        one after the other; ./dev bench micro in turn
#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "base/histogram.hpp"
#include "bench/stage.hpp"

namespace wellhead::bench {
namespace {

constexpr std::uint64_t value_count = 4096;

// Microseconds as acknowledgements take them: most near the median, some far above.
std::vector<std::uint64_t> latencies_us() {
  std::mt19937 random(1);
  std::lognormal_distribution<double> latency(6.2, 0.8);
  std::vector<std::uint64_t> values(value_count);
  for (auto& value : values) value = static_cast<std::uint64_t>(latency(random));
  return values;
}

// The bare array, with the same buckets, so that only what record() does beyond the increment is the
// difference.
class Array {
 public:
  void record(std::uint64_t value) { ++buckets_[Histogram::bucket_of(value)]; }

 private:
  std::array<std::uint64_t, Histogram::bucket_count> buckets_{};
};

template <typename Recorder>
auto record_all(const std::vector<std::uint64_t>& values) {
  return [values](benchmark::State&) {
    return [values, recorder = std::make_shared<Recorder>()] {
      for (const std::uint64_t value : values) recorder->record(value);
      benchmark::ClobberMemory();
    };
  };
}

}  // namespace

void enlist() {
  const Case about{"histogram", "record", "value", value_count};
  const auto values = latencies_us();
  measure(about, record_all<Histogram>(values));
  measure_reference(about, "array_increment", record_all<Array>(values));
}

}  // namespace wellhead::bench
