// What scoring rows again would change in the table, or has changed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "codec/schema.hpp"
#include "engine/quality_words.hpp"

namespace wellhead {

struct RescoreExample {
  std::string device;
  std::int64_t time_us;  // since 2000-01-01 UTC
  Verdict before;
  Verdict after;
};

struct RescoreReport {
  static constexpr std::size_t examples_max = 10;
  // Changes of the score by twentieths, which all costs are multiples of: bin i is around (i - 20) / 20.
  static constexpr std::size_t change_bins = 41;

  std::uint64_t rows = 0;      // scored again
  std::uint64_t learned = 0;   // of them only learned from: written before --since
  std::uint64_t compared = 0;  // found in the table, once
  // Of the compared: their device is still being learned, and was known when they came. What the table has of
  // the device's past stays, and only what the row tells by itself is compared.
  std::uint64_t unjudged = 0;
  // Likewise, since they were out of order when they came and are not now, or the other way round.
  std::uint64_t reordered = 0;
  // Left out:
  std::uint64_t not_found = 0;   // not in the table, or not yet
  std::uint64_t ambiguous = 0;   // several rows of this device and time
  std::uint64_t other_form = 0;  // written when other columns were scored
  // Of the compared:
  std::uint64_t changed = 0;
  std::uint64_t score_changed = 0;
  std::uint64_t anomaly_changed = 0;
  std::uint64_t flags_changed = 0;
  std::uint64_t anomalies_before = 0;
  std::uint64_t anomalies_after = 0;
  double score_sum_before = 0;
  double score_sum_after = 0;
  std::array<std::uint64_t, change_bins> score_changes{};
  std::array<std::uint64_t, 64> gained{};  // by bit of quality_flags
  std::array<std::uint64_t, 64> lost{};
  std::vector<RescoreExample> examples;  // of changed rows, the first
  // Of the changed:
  std::uint64_t compressed = 0;  // in a compressed chunk, left as they are
  std::uint64_t written = 0;
  std::uint64_t segments_trimmed = 0;  // of the journal, while they were to be read
  std::uint64_t places_lost = 0;       // in the journal, by damage

  void note(const RescoreExample& row);
};

// The difference, and behind it what became of it.
[[nodiscard]] std::string print_difference(const Schema& schema, const RescoreReport& report);
[[nodiscard]] std::string print_rescore(const Schema& schema, const RescoreReport& report, bool wrote);
[[nodiscard]] std::string print_rescore_json(const Schema& schema, const RescoreReport& report);

// RFC 3339, UTC, with microseconds.
[[nodiscard]] std::string moment_text(std::int64_t time_us);

}  // namespace wellhead
