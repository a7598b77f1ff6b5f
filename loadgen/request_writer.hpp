// Fills a batch with the bytes that go to the network.
#pragma once

#include <string>
#include <vector>

#include "loadgen/batch.hpp"
#include "loadgen/compressor.hpp"
#include "loadgen/options.hpp"
#include "loadgen/schedule.hpp"
#include "loadgen/target.hpp"
#include "loadgen/workload.hpp"

namespace wellhead::loadgen {

// One per worker.
class RequestWriter {
 public:
  RequestWriter(const Options& options, const Target& target, const Workload& workload);

  void fill(Batch& batch, const Claim& claim);

 private:
  void fill_http(Batch& batch);
  [[nodiscard]] std::size_t write_body(Batch& batch);

  const Workload& workload_;
  Transport transport_;
  Compression compression_;
  Compressor compressor_;
  std::string head_start_;     // up to and including "Content-Length: "
  std::string key_start_;      // up to the batch's own part of its Idempotency-Key; empty: no such header
  std::vector<char> scratch_;  // a body before compression
};

}  // namespace wellhead::loadgen
