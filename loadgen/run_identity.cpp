#include "loadgen/run_identity.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "loadgen/well_model.hpp"

namespace wellhead::loadgen {
namespace {

// Bits of an id that count a run's records; those above tell runs apart, and the sign stays clear.
constexpr unsigned id_record_bits = 40;
constexpr unsigned id_run_bits = 63 - id_record_bits;

// With --max the rate is not known beforehand; at this one a run's timestamps keep up with the clock.
constexpr double assumed_rate = 1e6;

std::uint64_t step_for(const Options& options) {
  if (options.step_us != 0) return options.step_us;
  const double rate = options.pacing == Pacing::rate ? options.rate : assumed_rate;
  return static_cast<std::uint64_t>(std::max(1.0, std::round(options.wells * 1e6 / rate)));
}

std::int64_t id_base_for(std::string_view run_id) {
  std::uint64_t hash = 0;
  for (const char character : run_id) hash = mix_bits(hash ^ static_cast<unsigned char>(character));
  return static_cast<std::int64_t>((hash & ((std::uint64_t{1} << id_run_bits) - 1)) << id_record_bits);
}

}  // namespace

RunIdentity::RunIdentity(const Options& options, std::int64_t start_unix_us)
    : device_prefix_("w" + options.run_id + "-"),
      wells_(options.wells),
      step_us_(step_for(options)),
      start_us_(start_unix_us),
      id_base_(id_base_for(options.run_id)) {}

std::optional<std::uint64_t> RunIdentity::find(std::string_view device, std::int64_t unix_us) const noexcept {
  if (!device.starts_with(device_prefix_)) return std::nullopt;
  device.remove_prefix(device_prefix_.size());
  std::uint32_t well = 0;
  const auto [end, error] = std::from_chars(device.data(), device.data() + device.size(), well);
  const bool parsed =
      error == std::errc{} && end == device.data() + device.size() && device.size() == well_digits;
  if (!parsed || well >= wells_) return std::nullopt;
  const std::int64_t since_first = unix_us - timestamp_us({.well = well, .sequence = 0});
  if (since_first < 0 || static_cast<std::uint64_t>(since_first) % step_us_ != 0) return std::nullopt;
  return static_cast<std::uint64_t>(since_first) / step_us_ * wells_ + well;
}

}  // namespace wellhead::loadgen
