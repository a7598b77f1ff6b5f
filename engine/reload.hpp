// What HUP does with the configuration: read anew and as a whole right, the rules of streams are swapped
// while they are in use; else everything stays as it is.
//
// One thread, the one that waits for signals; the counters are read by any.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/counter.hpp"
#include "engine/attributes.hpp"
#include "engine/config.hpp"

namespace wellhead {

// The one key outside [streams] that HUP puts into force.
inline constexpr const char* reloadable_key = "log.level";

struct ReloadStats {
  Counter done;
  Counter refused;        // a mistake in the configuration or in a file it names
  Counter needs_restart;  // it is right, and changes what only a restart can change
  Gauge last_good_unix_s;
};

// What is different between two configurations that only a restart can change: sentences, each with the place
// it is written at. Empty: `fresh` can be put into force in the place of `in_force`.
[[nodiscard]] std::vector<std::string> needs_restart(const LoadedConfig& in_force, const LoadedConfig& fresh);

// How the streams of one configuration, by which everybody knows them, are judged by another one. REQUIRES
// that needs_restart() found nothing; `tables` are those of `fresh`.
[[nodiscard]] std::vector<AttributeKeeper::Adoption> adoptions(const LoadedConfig& known,
                                                               const LoadedConfig& fresh,
                                                               const AttributesTables& tables);

enum class ReloadOutcome : std::uint8_t { done, refused, needs_restart };

class Reloader {
 public:
  // `started` is what the node runs by. The keeper outlives the reloader.
  Reloader(LoadedConfig started, AttributeKeeper& attributes);

  // Logs a sentence for each mistake and one for what becomes of it.
  ReloadOutcome reload(std::expected<LoadedConfig, ConfigErrors> fresh);

  [[nodiscard]] const ReloadStats& stats() const noexcept { return stats_; }

 private:
  ReloadOutcome refuse(const std::vector<std::string>& mistakes);

  LoadedConfig in_force_;  // its schemas are those of the start
  AttributeKeeper& attributes_;
  ReloadStats stats_;
};

}  // namespace wellhead
