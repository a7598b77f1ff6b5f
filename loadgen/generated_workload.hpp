// The readings of simulated wells, some of them bad on purpose.
#pragma once

#include "loadgen/options.hpp"
#include "loadgen/record_renderer.hpp"
#include "loadgen/run_identity.hpp"
#include "loadgen/well_model.hpp"
#include "loadgen/workload.hpp"

namespace wellhead::loadgen {

class GeneratedWorkload final : public Workload {
 public:
  GeneratedWorkload(const Options& options, std::int64_t start_unix_us);

  [[nodiscard]] std::size_t text_bytes_max(RecordRange range) const override;
  char* render(RecordRange range, char* out, std::vector<std::uint32_t>& bad_offsets) const override;
  [[nodiscard]] bool knows_bad_records() const override { return true; }
  [[nodiscard]] std::unique_ptr<RowMatcher> make_matcher() const override;

  // How the record is bad; empty for a good one. Decided by the seed.
  [[nodiscard]] std::optional<BadKind> bad_kind(std::uint64_t record) const noexcept;
  [[nodiscard]] const RunIdentity& identity() const noexcept { return identity_; }
  [[nodiscard]] const WellModel& model() const noexcept { return model_; }
  [[nodiscard]] StreamKind stream() const noexcept { return stream_; }

 private:
  StreamKind stream_;
  WellModel model_;
  RunIdentity identity_;
  std::uint64_t seed_;
  double bad_share_;
};

}  // namespace wellhead::loadgen
