#include "bench/stage.hpp"

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

namespace wellhead::bench {
namespace {

class Copy {
 public:
  explicit Copy(std::size_t bytes)
      : bytes_(bytes), from_(std::make_unique<char[]>(bytes)), to_(std::make_unique<char[]>(bytes)) {}

  void operator()() {
    std::memcpy(to_.get(), from_.get(), bytes_);
    benchmark::ClobberMemory();
  }

 private:
  std::size_t bytes_;
  std::unique_ptr<char[]> from_;
  std::unique_ptr<char[]> to_;
};

}  // namespace

void measure_memcpy(const Case& about, std::size_t bytes) {
  measure_reference(about, "memcpy", [bytes](benchmark::State&) { return Copy(bytes); });
}

}  // namespace wellhead::bench

int main(int argument_count, char** arguments) {
  benchmark::Initialize(&argument_count, arguments);
  if (benchmark::ReportUnrecognizedArguments(argument_count, arguments)) return 64;
  wellhead::bench::enlist();
  const bool any = benchmark::RunSpecifiedBenchmarks() > 0;
  benchmark::Shutdown();
  return any ? 0 : 64;  // a filter that matches nothing is a mistake
}
