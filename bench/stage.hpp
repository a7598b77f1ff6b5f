// Stages of a record's way beside their references, as Google Benchmark runs them.
//
// A measurement is named STAGE/CASE, and what stands beside it in the same process
// STAGE/CASE/reference:NAME. Each counts as items what its label names (records, rows, blocks …), so that
// items per second of one can be compared with the other's. bench/end_to_end/micro.py runs the programs with
// repetitions in turn, and makes the table of them:
//
//   ./dev bench micro
//
// Compare a case with its references only, never with what another day or machine gave.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace wellhead::bench {

struct Case {
  std::string stage;
  std::string name;
  std::string unit;          // what is counted, in the singular
  std::uint64_t units;       // of it in one call
  bool all_threads = false;  // processor time of the whole process, where others than the caller's work
};

namespace detail {

template <typename Make>
void add(const Case& about, const std::string& name, Make make) {
  auto* const added = benchmark::RegisterBenchmark(
      name.c_str(), [make, unit = about.unit, units = about.units](benchmark::State& state) {
        auto work = make(state);
        while (state.KeepRunning()) work();
        state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(units));
        state.SetLabel(unit);
      });
  if (about.all_threads) added->MeasureProcessCPUTime();
}

}  // namespace detail

// `make(state)` makes what is measured, outside of the time: an object that does the case's units each time
// it is called. It is made anew for each run of the measurement, so what is large is made before and shared.
template <typename Make>
void measure(const Case& about, Make make) {
  detail::add(about, about.stage + '/' + about.name, make);
}

// The same for what the case is held against.
template <typename Make>
void measure_reference(const Case& about, const std::string& reference, Make make) {
  detail::add(about, about.stage + '/' + about.name + "/reference:" + reference, make);
}

// Copies `bytes` bytes: what memory alone takes.
void measure_memcpy(const Case& about, std::size_t bytes);

// Each program defines it: calls the functions above for all it measures. Its main() is in stage.cpp.
void enlist();

}  // namespace wellhead::bench
