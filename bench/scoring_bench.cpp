// Nanoseconds a row for scoring 8 fields, beside what else a shard does with the row before it goes to the
// database.
//
//   build/release/bin/scoring_bench
//
// `reference_flush_assign` sorts the same rows, as each flush does. A flush is 10,000 rows unless the name
// says otherwise; `_devices` of them take turns, so that each has 10,000 / devices rows in a flush.
#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "scoring/scorer.hpp"
#include "scoring/test_support.hpp"
#include "sink/flush.hpp"

namespace wellhead {
namespace {

constexpr std::uint32_t row_count = 10'000;
constexpr std::uint32_t field_count = 8;
constexpr std::uint32_t batch_count = 4;

// Rows of a flush in batches, a second older than those of the next flush.
class FlushRows {
 public:
  explicit FlushRows(std::uint32_t devices)
      : schemas_{test::compile(test::watched_stream(field_count))},
        flush_(schemas_),
        rows_per_device_(row_count / devices) {
    std::mt19937 random(1);
    std::normal_distribution<float> noise(70, 1);
    for (std::uint32_t batch = 0; batch < batch_count; ++batch)
      batches_.push_back(std::make_unique<Batch>(4U << 20, 0));
    for (std::uint32_t row = 0; row < row_count; ++row) {
      test::Values values(field_count);
      for (auto& value : values) value = noise(random);
      test::Rows made;
      const RowHeader& header =
          made.add("well-" + std::to_string(row % devices),
                   test::start_us + std::int64_t{row / devices} * test::second_us, values);
      append(*batches_[row / (row_count / batch_count)], header);
    }
    for (const auto& batch : batches_) pointers_.push_back(batch.get());
  }

  std::span<const SortedRow> assign() {
    flush_.assign(pointers_);
    return flush_.rows(0);
  }
  void pass_time() {
    for (const SortedRow& row : flush_.rows(0))
      const_cast<RowHeader*>(row.header)->time_us += std::int64_t{rows_per_device_} * test::second_us;
  }
  [[nodiscard]] std::span<const SchemaPointer> schemas() const { return schemas_; }

 private:
  static void append(Batch& batch, const RowHeader& header) {
    WELLHEAD_ASSERT(batch.fits(row_bytes(header.tuple_bytes)));
    std::memcpy(batch.append(1, 1, header.tuple_bytes), &header, sizeof(header) + header.tuple_bytes);
  }

  std::vector<SchemaPointer> schemas_;
  Flush flush_;
  std::uint32_t rows_per_device_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::vector<Batch*> pointers_;
};

// Rows of one flush were written by reactors, on other processors, some milliseconds ago.
void flush_caches() {
  static std::vector<std::byte> memory(64U << 20);
  for (std::size_t at = 0; at < memory.size(); at += 64) memory[at] ^= std::byte{1};
  benchmark::ClobberMemory();
}

void per_row(benchmark::State& state) {
  state.counters["rows_per_second"] =
      benchmark::Counter(row_count, benchmark::Counter::kIsIterationInvariantRate);
}

void reference_flush_assign(benchmark::State& state) {
  FlushRows rows(static_cast<std::uint32_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(rows.assign().data());
  per_row(state);
}

// Scores and commits a flush again and again, a flush's time later each; `saves` takes what is to be saved
// with it.
void score_flushes(benchmark::State& state, bool saves) {
  FlushRows rows(static_cast<std::uint32_t>(state.range(0)));
  std::array<StreamScores, 1> stats;
  Scorer scorer(rows.schemas(), {}, stats);
  const auto sorted = rows.assign();
  for (auto _ : state) {
    state.PauseTiming();
    rows.pass_time();
    state.ResumeTiming();
    scorer.start();
    scorer.score(0, sorted);
    if (saves) benchmark::DoNotOptimize(scorer.states_to_save().data());
    scorer.commit();
  }
  per_row(state);
}

void score(benchmark::State& state) {
  score_flushes(state, true);
}

// What a shard does in memory with rows that other threads wrote a while ago: flushes that together are
// larger than the caches, in turn, are sorted, scored or not, and gathered as COPY wants them.
constexpr std::uint32_t cold_flush_count = 32;

void whole_flush(benchmark::State& state, bool scores) {
  std::vector<std::unique_ptr<FlushRows>> flushes;
  for (std::uint32_t flush = 0; flush < cold_flush_count; ++flush) {
    flushes.push_back(std::make_unique<FlushRows>(static_cast<std::uint32_t>(state.range(0))));
    flushes.back()->assign();
    for (std::uint32_t before = 0; before < flush; ++before) flushes.back()->pass_time();
  }
  std::array<StreamScores, 1> stats;
  Scorer scorer(flushes.front()->schemas(), {}, stats);
  std::vector<std::byte> message(64U << 10);
  std::size_t turn = 0;
  for (auto _ : state) {
    FlushRows& rows = *flushes[turn++ % cold_flush_count];
    state.PauseTiming();
    if (turn > cold_flush_count)
      for (std::uint32_t flush = 0; flush < cold_flush_count; ++flush) rows.pass_time();
    flush_caches();
    state.ResumeTiming();
    const auto sorted = rows.assign();
    if (scores) {
      scorer.start();
      scorer.score(0, sorted);
      benchmark::DoNotOptimize(scorer.states_to_save().data());
    }
    std::size_t used = 0;
    for (std::size_t row = 0; row < sorted.size(); ++row) {
      if (row + 8 < sorted.size()) __builtin_prefetch(sorted[row + 8].header);
      const auto tuple = tuple_of(sorted[row]);
      if (used + tuple.size() > message.size()) used = 0;
      std::memcpy(&message[used], tuple.data(), tuple.size());
      used += tuple.size();
    }
    benchmark::DoNotOptimize(message.data());
    if (scores) scorer.commit();
  }
  per_row(state);
}

void whole_flush_with_scoring(benchmark::State& state) {
  whole_flush(state, true);
}

void whole_flush_without_scoring(benchmark::State& state) {
  whole_flush(state, false);
}

void score_without_saving(benchmark::State& state) {
  score_flushes(state, false);
}

BENCHMARK(reference_flush_assign)
    ->ArgName("devices")
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(score_without_saving)
    ->ArgName("devices")
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(whole_flush_without_scoring)
    ->ArgName("devices")
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(whole_flush_with_scoring)
    ->ArgName("devices")
    ->Arg(100)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(score)->ArgName("devices")->Arg(100)->Arg(1'000)->Arg(10'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace wellhead

BENCHMARK_MAIN();
