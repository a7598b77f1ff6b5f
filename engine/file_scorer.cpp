#include "engine/file_scorer.hpp"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "codec/body_framing.hpp"
#include "codec/schema_index.hpp"
#include "engine/line_chunks.hpp"

namespace wellhead {
namespace {

// Few enough lines that RecordErrors keeps every one's error.
constexpr std::size_t chunk_bytes = 64U << 10;
static_assert(chunk_bytes <= RecordErrors::kept_max, "a line has at least its newline");

constexpr std::string_view label_key = "anomaly";

// true, false, or a number: 0 is no anomaly.
std::optional<bool> label_of(simdjson::ondemand::parser& parser, std::string_view line) {
  simdjson::ondemand::document document;
  if (parser.iterate(line.data(), line.size(), line.size() + input_padding_bytes).get(document) !=
      simdjson::SUCCESS)
    return std::nullopt;
  simdjson::ondemand::value label;
  if (document[label_key].get(label) != simdjson::SUCCESS) return std::nullopt;
  bool truth = false;
  if (label.get_bool().get(truth) == simdjson::SUCCESS) return truth;
  double number = 0;
  if (label.get_double().get(number) == simdjson::SUCCESS) return number != 0;
  return std::nullopt;
}

std::uint64_t lines_before(std::string_view chunk, std::string_view line) {
  const auto bytes = line.data() - chunk.data();
  return static_cast<std::uint64_t>(std::count(chunk.begin(), chunk.begin() + bytes, '\n'));
}

}  // namespace

std::expected<SchemaPointer, std::string> offline_stream(const StreamConfig& stream) {
  StreamConfig config = stream;
  config.past_max_s = config.future_max_s = window_s_max;
  config.scoring.late_after_s = config.scoring.ahead_after_s = window_s_max;
  return Schema::compile(std::move(config), 0);
}

FileScorerOptions file_scorer_options(const Config& config) {
  return {
      .limits = config.decoder, .batch_bytes = config.batch_bytes, .devices_max = config.scoring.devices_max};
}

FileScorer::FileScorer(SchemaPointer schema, const FileScorerOptions& options)
    : schema_(std::move(schema)),
      options_(options),
      decoder_(options.limits),
      flush_({schema_}, options.batch_bytes, options.devices_max),
      verdicts_(*schema_),
      labels_possible_(schema_->lookup().find(label_key) == no_index) {
  WELLHEAD_ASSERT(computed_places(*schema_).any());
}

bool FileScorer::run(std::istream& input, const VisitRow& visit) {
  LineChunks chunks(input, chunk_bytes, options_.limits.record_bytes_max);
  for (std::string_view chunk = chunks.next(); !chunk.empty(); chunk = chunks.next())
    add(chunks.first_line() == 1 ? without_byte_order_mark(chunk) : chunk, chunks.first_line(), visit);
  return !chunks.failed();
}

void FileScorer::add(std::string_view chunk, std::uint64_t first_line, const VisitRow& visit) {
  errors_.clear();
  const DecodeResult decoded =
      decoder_.decode({.schema = *schema_, .body = chunk, .format = BodyFormat::ndjson}, flush_, errors_);
  WELLHEAD_ASSERT(decoded.status == DecodeStatus::complete);
  report_.rejected += decoded.rejected;
  report_.repaired += decoded.repaired;
  if (report_.bad_lines.size() < ScoreReport::bad_lines_max) note_errors(chunk, first_line);
  if (labels_possible_) read_labels(chunk);
  flush_.score();
  flush_.for_each([&](const RowHeader& header) {
    const Verdict verdict = verdicts_.read(header);
    count(header, verdict);
    if (visit) visit(header, verdict);
  });
  flush_.clear();
}

void FileScorer::note_errors(std::string_view chunk, std::uint64_t first_line) {
  auto error = errors_.kept().begin();
  LineReader lines(chunk);
  std::string_view line;
  for (std::uint32_t index = 0; error != errors_.kept().end() && lines.next(line); ++index) {
    if (index != error->index) continue;
    if (report_.bad_lines.size() == ScoreReport::bad_lines_max) return;
    report_.bad_lines.push_back({first_line + lines_before(chunk, line), std::string(to_string(error->code)),
                                 std::string(error->field), error->message});
    ++error;
  }
}

// The decoder counts lines as LineReader does, so labels_[i] is of the record with the index i.
void FileScorer::read_labels(std::string_view chunk) {
  labels_.clear();
  simdjson::ondemand::parser parser;
  LineReader lines(chunk);
  std::string_view line;
  while (lines.next(line)) labels_.push_back(label_of(parser, line));
}

void FileScorer::count(const RowHeader& header, const Verdict& verdict) {
  ++report_.rows;
  report_.score_sum += verdict.score;
  if (verdict.anomaly) ++report_.flagged;
  for (std::uint64_t left = verdict.flags; left != 0; left &= left - 1)
    ++report_.by_bit[static_cast<std::size_t>(__builtin_ctzll(left))];
  if (labels_possible_ && labels_[header.record_index])
    report_.count_label(*labels_[header.record_index], verdict.anomaly);
}

}  // namespace wellhead
