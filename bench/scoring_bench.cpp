// Scoring eight fields of a row, beside what else a shard does with it before it goes to the database:
// sorting. With what of the devices' baselines is to be saved, and without.
//
//   build/release/bin/scoring_bench        one after the other; ./dev bench micro in turn
#include <array>
#include <memory>
#include <string>

#include "bench/flush_rows.hpp"
#include "bench/stage.hpp"
#include "scoring/scorer.hpp"

namespace wellhead::bench {
namespace {

enum class Saving : bool { no, yes };

// Scores and commits a flush again and again, a flush's time later each.
class Score {
 public:
  Score(benchmark::State& state, std::uint32_t devices, Saving saving)
      : state_(state), rows_(devices), saving_(saving), scorer_(rows_.schemas(), {}, stats_) {
    sorted_ = rows_.assign();
  }

  void operator()() {
    state_.PauseTiming();
    rows_.pass_time();
    state_.ResumeTiming();
    scorer_.start();
    scorer_.score(0, sorted_);
    if (saving_ == Saving::yes) benchmark::DoNotOptimize(scorer_.states_to_save().data());
    scorer_.commit();
  }

 private:
  benchmark::State& state_;
  FlushRows rows_;
  Saving saving_;
  std::array<StreamScores, 1> stats_;
  Scorer scorer_;
  std::span<const SortedRow> sorted_;
};

void add_scoring(std::uint32_t devices, Saving saving) {
  const Case about{
      "scoring",
      std::to_string(devices) + (saving == Saving::yes ? "_devices_saved" : "_devices"),
      "row",
      FlushRows::row_count,
  };
  measure(about, [devices, saving](benchmark::State& state) {
    return [score = std::make_shared<Score>(state, devices, saving)] { (*score)(); };
  });
  measure_reference(about, "flush_sort", [devices](benchmark::State&) {
    return [rows = std::make_shared<FlushRows>(devices)] { benchmark::DoNotOptimize(rows->assign().data()); };
  });
}

}  // namespace

void enlist() {
  for (const std::uint32_t devices : {100U, 1'000U, 10'000U}) {
    add_scoring(devices, Saving::no);
    add_scoring(devices, Saving::yes);
  }
}

}  // namespace wellhead::bench
