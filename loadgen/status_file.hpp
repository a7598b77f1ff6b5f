// The counts of a run while it is on, for a program that watches it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "loadgen/worker.hpp"

namespace wellhead::loadgen {

// The main thread's. A reader sees a whole object or the one before: each is written beside and renamed.
class StatusFile {
 public:
  // An empty `path`: nothing is written. `workers` outlive this.
  StatusFile(std::string path, const std::vector<std::unique_ptr<Worker>>& workers);

  // {"sent","acknowledged","rejected","failed","unknown","reconnects"}; records but for the last. What cannot
  // be written is left out: the report at the end has it all.
  void write() const;

 private:
  [[nodiscard]] std::string text() const;

  std::string path_;
  const std::vector<std::unique_ptr<Worker>>& workers_;
};

}  // namespace wellhead::loadgen
