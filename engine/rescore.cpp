#include "engine/rescore.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/assert.hpp"

namespace wellhead {
namespace {

// Sections of one slice are in memory together, to be put in order.
constexpr std::size_t slice_bytes = 64U << 20;
constexpr std::size_t rows_per_flush = 10'000;

std::string refused(const DatabaseError& error) {
  return fmt::format(
      "Scoring again was given up: the database says{}{}: {}. What was written by then is committed; to go "
      "on, "
      "repeat the command. The role needs SELECT on the stream's table, and to write UPDATE.",
      error.sqlstate.empty() ? "" : " ", error.sqlstate, error.message);
}

// Offline there is one stream, with the number 0.
SchemaPointer alone(const Schema& stream) {
  return Schema::compile(stream.config(), 0).value();
}

}  // namespace

Rescore::Rescore(FileSystem& files, Database& database, const LoadedConfig& loaded, SchemaPointer stream,
                 const RescoreOptions& options)
    : files_(files),
      loaded_(loaded),
      stream_(std::move(stream)),
      options_(options),
      rules_(*stream_),
      flush_({alone(*stream_)}, loaded.config.batch_bytes, loaded.config.scoring.devices_max),
      verdicts_(*stream_),
      table_(database, stream_, report_, 0, options.write) {}

std::expected<RescoreReport, std::string> Rescore::run(const Progress& progress) {
  auto reader = AuditReader::open(files_);
  if (!reader) return std::unexpected(std::move(reader.error().sentence));
  auto streams = read_stream_history(loaded_.schemas, reader->epochs());
  if (!streams) return std::unexpected(std::move(streams.error()));
  streams_ = std::move(*streams);
  if (const auto prepared = table_.prepare(); !prepared) return std::unexpected(refused(prepared.error()));
  if (Step found = find_slices(*reader); !found) return std::unexpected(std::move(found.error()));
  for (const WrittenRange& slice : slices_) {
    if (Step read = read_slice(*reader, slice); !read) return std::unexpected(std::move(read.error()));
    if (progress) progress(report_);
  }
  if (Step finished = finish(); !finished) return std::unexpected(std::move(finished.error()));
  return std::move(report_);
}

// The journal is one chain after the other; a device's rows may lie in several. So one look tells how much
// was written when, and each slice of time is then read by itself.
Rescore::Step Rescore::find_slices(AuditReader& reader) {
  std::map<std::int64_t, std::size_t> bytes;
  const auto read = reader.read({}, [&](const AuditSection& section) {
    bytes[section.written_us] += section.rows.size();
    return true;
  });
  if (!read) return std::unexpected(read.error().sentence);
  report_.segments_trimmed = reader.segments_trimmed();
  report_.places_lost = reader.lost().size();
  std::size_t filled = slice_bytes;
  for (const auto& [written_us, count] : bytes) {
    if (filled + count > slice_bytes) {
      slices_.push_back({written_us, written_us});
      filled = 0;
    }
    filled += count;
    slices_.back().until_us = written_us;
  }
  return {};
}

Rescore::Step Rescore::read_slice(AuditReader& reader, const WrittenRange& range) {
  std::vector<Section> sections;
  const auto read = reader.read(range, [&](const AuditSection& section) {
    sections.push_back(
        {section.lane, section.written_us, section.row_count, {section.rows.begin(), section.rows.end()}});
    return true;
  });
  if (!read) return std::unexpected(read.error().sentence);
  report_.segments_trimmed = std::max(report_.segments_trimmed, reader.segments_trimmed());
  std::ranges::stable_sort(sections, {}, &Section::written_us);
  for (const Section& section : sections)
    if (Step taken = take(section); !taken) return taken;
  return {};
}

Rescore::Step Rescore::take(const Section& section) {
  const std::vector<std::uint16_t>& map = streams_.maps.at(section.lane.epoch);
  const bool compare = section.written_us >= options_.since_us;
  std::span<const std::byte> left = section.rows;
  for (std::uint32_t row = 0; row < section.row_count; ++row) {
    RowHeader header;
    std::memcpy(&header, left.data(), sizeof header);
    if (header.stream >= map.size())
      return std::unexpected(fmt::format(
          "A row of epoch {} names stream {}, and that run had {}; the journal's file of that epoch is "
          "not the one it was written with.",
          section.lane.epoch, header.stream, map.size()));
    const bool ours = header.kind == RowKind::record && map[header.stream] == stream_->index();
    if (ours && streams_.scored_otherwise.contains({section.lane.epoch, header.stream}))
      ++report_.other_form;
    else if (ours)
      add_row(header, left.subspan(sizeof header, header.tuple_bytes), compare);
    left = left.subspan(row_bytes(header.tuple_bytes));
  }
  return compares_.size() < rows_per_flush ? Step() : flush();
}

void Rescore::add_row(const RowHeader& header, std::span<const std::byte> tuple, bool compare) {
  std::byte* const at = flush_.allocate_row(header.device_hash, header.tuple_bytes);
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + sizeof header, tuple.data(), tuple.size());
  auto& row = *reinterpret_cast<RowHeader*>(at);
  row.stream = 0;
  rules_.apply(row);
  compares_.push_back(compare);
}

Rescore::Step Rescore::flush() {
  flush_.score();
  std::size_t index = 0;
  DatabaseResult<void> added;
  flush_.for_each([&](const RowHeader& header) {
    ++report_.rows;
    const bool compare = compares_[index++];
    report_.learned += compare ? 0U : 1U;
    if (added) added = table_.add(header, verdicts_.read(header), compare);
  });
  flush_.clear();
  compares_.clear();
  return added ? Step() : std::unexpected(refused(added.error()));
}

Rescore::Step Rescore::finish() {
  if (Step flushed = flush(); !flushed) return flushed;
  const auto compared = table_.flush();
  return compared ? Step() : std::unexpected(refused(compared.error()));
}

}  // namespace wellhead
