#include "loadgen/generated_workload.hpp"

#include "loadgen/generated_matcher.hpp"

namespace wellhead::loadgen {

GeneratedWorkload::GeneratedWorkload(const Options& options, std::int64_t start_unix_us)
    : stream_(options.stream),
      model_(options.stream, options.seed),
      identity_(options, start_unix_us),
      seed_(options.seed),
      bad_share_(options.bad_share) {}

std::size_t GeneratedWorkload::text_bytes_max(RecordRange range) const {
  return range.count * record_text_bytes_max;
}

std::optional<BadKind> GeneratedWorkload::bad_kind(std::uint64_t record) const noexcept {
  if (bad_share_ <= 0) return std::nullopt;
  constexpr double two_to_the_53 = 9'007'199'254'740'992.0;
  const std::uint64_t hash = mix_bits(mix_bits(~seed_) + record);
  if (static_cast<double>(hash >> 11U) / two_to_the_53 >= bad_share_) return std::nullopt;
  return static_cast<BadKind>(mix_bits(hash) % bad_kind_count);
}

char* GeneratedWorkload::render(RecordRange range, char* out, std::vector<std::uint32_t>& bad_offsets) const {
  RecordRenderer renderer(stream_, model_, identity_);
  for (std::uint32_t offset = 0; offset < range.count; ++offset) {
    const std::uint64_t record = range.first + offset;
    const std::optional<BadKind> kind = bad_kind(record);
    if (kind) {
      out = renderer.write_bad(record, *kind, out);
      bad_offsets.push_back(offset);
    } else {
      out = renderer.write(record, out);
    }
  }
  return out;
}

std::unique_ptr<RowMatcher> GeneratedWorkload::make_matcher() const {
  return std::make_unique<GeneratedMatcher>(*this);
}

}  // namespace wellhead::loadgen
