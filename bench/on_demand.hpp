// The reference of the decoder: simdjson On-Demand merely reading every field of the same bytes.
//
// It is what a decoder on On-Demand pays at least. Fields are asked for by name in the order they have, each
// number is read as a double and each text is unescaped; nothing is converted, checked against a schema,
// looked up or written. Compiled and padded as the decoder is.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace wellhead::bench {

enum class FieldOrder : std::uint8_t {
  kept,     // fields are asked for in the order they have
  any,      // wherever they are
  unnamed,  // what comes is read as it comes, texts with their escapes
};

// What to ask a record for.
struct FieldNames {
  std::span<const std::string_view> texts;
  std::span<const std::string_view> numbers;
};

// Reads all fields of one record, the texts first; the sum is for the compiler, which must not leave it out.
[[nodiscard]] double read_fields(simdjson::ondemand::object object, const FieldNames& names,
                                 FieldOrder order);

// One record a line, each parsed by itself as the decoder does it, so that a broken one costs no other.
class ReadLines {
 public:
  // `text` is padded(): the bytes count without it, and outlive this.
  ReadLines(std::string_view text, const FieldNames& names, FieldOrder order);
  void operator()();

 private:
  simdjson::ondemand::parser parser_;
  std::string_view text_;
  FieldNames names_;
  FieldOrder order_;
};

// The same with all lines as one stream of documents: a fault in one line would break what follows.
class ReadStream {
 public:
  ReadStream(std::string_view text, const FieldNames& names);
  void operator()();

 private:
  simdjson::ondemand::parser parser_;
  std::string_view text_;
  FieldNames names_;
};

class ReadArray {
 public:
  ReadArray(std::string_view text, const FieldNames& names);
  void operator()();

 private:
  simdjson::ondemand::parser parser_;
  std::string_view text_;
  FieldNames names_;
};

}  // namespace wellhead::bench
