// All that is left to chance in a run, from one seed.
#pragma once

#include <cstdint>
#include <random>

namespace wellhead::simulation {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  [[nodiscard]] bool chance(double probability) {
    return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace wellhead::simulation
