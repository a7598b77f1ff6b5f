// What the rows of earlier runs mean: a journal outlives the configuration it was written under.
//
// A row names its stream by a number that counts within one run. So each run keeps its list of streams with
// its epoch (the catalog), and the next one finds for every old number the stream of today that writes the
// same columns of the same table, or takes the old stream along as a historical one: no client can write to
// it, but its rows can still be copied. A stream that was renamed, changed or removed between two runs thus
// loses nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "codec/schema.hpp"
#include "journal/journal.hpp"

namespace wellhead {

// The streams in the order of their numbers, as text for JournalOptions::catalog.
[[nodiscard]] std::string print_catalog(std::span<const SchemaPointer> schemas);

struct StreamHistory {
  // Today's streams, which keep their numbers, then historical ones; Schema::index() is the position.
  std::vector<SchemaPointer> schemas;
  std::size_t today_count = 0;
  // Epoch → the old number of a stream → its position in `schemas`.
  std::map<std::uint32_t, std::vector<std::uint16_t>> maps;
  // (epoch, old number) of streams that scored other columns than the one they are mapped to: the masks in
  // the headers of their rows mean something else.
  std::set<std::pair<std::uint32_t, std::uint16_t>> scored_otherwise;
};

// `today` are the streams of this run, Schema::index() being the position. The error is a sentence: a catalog
// cannot be read, and then nothing may be replayed, since its rows could not be told apart.
[[nodiscard]] std::expected<StreamHistory, std::string> read_stream_history(
    std::span<const SchemaPointer> today, const std::map<std::uint32_t, JournalSurvey::Epoch>& epochs);

// Whether rows of the two streams go to the same columns of the same table in the same form, whatever their
// names and the records they take.
[[nodiscard]] bool writes_same_rows(const Schema& one, const Schema& other);

}  // namespace wellhead
