// [streams.NAME] tables: from TOML to StreamConfig and back, driven by one table of keys for the stream and
// one for its columns.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/schema.hpp"
#include "engine/toml.hpp"

namespace wellhead {

// One key of a stream or of a column, for the reference.
struct StreamKeyDescription {
  std::string_view name;
  std::string_view type;
  std::string default_text;
  std::string_view help;
};
[[nodiscard]] std::vector<StreamKeyDescription> stream_key_descriptions();
[[nodiscard]] std::vector<StreamKeyDescription> column_key_descriptions();
[[nodiscard]] std::vector<StreamKeyDescription> scoring_key_descriptions();
[[nodiscard]] std::vector<StreamKeyDescription> attributes_key_descriptions();

// A stream and where it was written, for errors found later.
struct PlacedStream {
  StreamConfig config;
  std::string where;  // "wellhead.toml:12:1"; "built in" for the streams that ship
  // By column, where it or the last rule for it was written; only what is in a file.
  std::map<std::string, std::string, std::less<>> columns = {};
};

// Reads `table`, which is streams.NAME of `file`. Mistakes are added to `errors`, and then the result is not
// to be used.
[[nodiscard]] PlacedStream read_stream(std::string_view name, const toml::table& table,
                                       const std::string& file, std::vector<std::string>& errors);

// The same for a table that only changes `base`: what it does not name stays.
[[nodiscard]] PlacedStream change_stream(StreamConfig base, const toml::table& table, const std::string& file,
                                         std::vector<std::string>& errors);

// Where to mend what Schema::compile() says of the stream.
[[nodiscard]] std::string_view place_of_mistake(const PlacedStream& stream, std::string_view sentence);

// The stream as it would be written in a file.
[[nodiscard]] std::string print_stream(const StreamConfig& stream);

}  // namespace wellhead
