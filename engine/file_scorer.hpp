// A stream's rules over a file of records: what a node would make of them, without one and without a
// database.
//
// Each record counts as received at its own time, so none is late, ahead or outside of the stream's window.
// Devices begin unknown and are learned as the file goes on. Their attributes are not looked up.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/decoder.hpp"
#include "codec/schema.hpp"
#include "engine/config.hpp"
#include "engine/offline_flush.hpp"
#include "engine/quality_words.hpp"
#include "engine/score_report.hpp"

namespace wellhead {

// The stream as FileScorer wants it: number 0, and without the bounds that a receive time sets.
[[nodiscard]] std::expected<SchemaPointer, std::string> offline_stream(const StreamConfig& stream);

struct FileScorerOptions {
  DecoderLimits limits;
  std::size_t batch_bytes;
  std::size_t devices_max;
};
[[nodiscard]] FileScorerOptions file_scorer_options(const Config& config);

// One thread, one file. Memory: pieces of a MiB, their rows, and the devices.
class FileScorer {
 public:
  using VisitRow = std::function<void(const RowHeader&, const Verdict&)>;

  // REQUIRES a schema of offline_stream() with a computed column.
  FileScorer(SchemaPointer schema, const FileScorerOptions& options);

  // Scores one record a line. `visit`, which may be empty, sees the rows in the file's order. False when the
  // file could not be read to its end: the report then tells of what came before.
  [[nodiscard]] bool run(std::istream& input, const VisitRow& visit);
  [[nodiscard]] const ScoreReport& report() const noexcept { return report_; }

 private:
  using Label = std::optional<bool>;

  void add(std::string_view chunk, std::uint64_t first_line, const VisitRow& visit);
  void note_errors(std::string_view chunk, std::uint64_t first_line);
  void count(const RowHeader& header, const Verdict& verdict);
  void read_labels(std::string_view chunk);

  SchemaPointer schema_;
  FileScorerOptions options_;
  Decoder decoder_;
  OfflineFlush flush_;
  VerdictReader verdicts_;
  bool labels_possible_;       // no column reads the label's key
  std::vector<Label> labels_;  // by record of the piece
  RecordErrors errors_;
  ScoreReport report_;
};

}  // namespace wellhead
