// What the codec's tests share: padded bodies, a sink that keeps rows, and a reader of tuples that shares no
// code with the encoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/decoder.hpp"
#include "codec/record_error.hpp"
#include "codec/row.hpp"
#include "codec/schema.hpp"

namespace wellhead::test {

// 2024-05-01T12:00:00Z, microseconds since 2000-01-01.
inline constexpr std::int64_t receive_time_us = 767'880'000'000'000;

// A body on the heap with exactly the padding the decoder may read, so that a sanitizer sees one byte more.
class PaddedBody {
 public:
  explicit PaddedBody(std::string_view text, char padding = '\0')
      : bytes_(text.size() + input_padding_bytes, padding), size_(text.size()) {
    std::memcpy(bytes_.data(), text.data(), text.size());
  }
  [[nodiscard]] std::string_view text() const { return {bytes_.data(), size_}; }

 private:
  std::vector<char> bytes_;
  std::size_t size_;
};

struct StoredRow {
  RowHeader header;
  std::string tuple;
};

class KeepingSink final : public RowSink {
 public:
  explicit KeepingSink(std::size_t rows_max = 1'000'000) : rows_max_(rows_max) {}

  std::byte* allocate_row(std::uint64_t device_hash, std::uint32_t tuple_bytes) override {
    if (memory_.size() == rows_max_) return nullptr;
    hashes_.push_back(device_hash);
    sizes_.push_back(tuple_bytes);
    memory_.emplace_back((row_bytes(tuple_bytes) + 7) / 8);
    return reinterpret_cast<std::byte*>(memory_.back().data());
  }

  [[nodiscard]] bool wants_rejected() const noexcept override { return true; }
  void on_repaired(const RejectedRecord& record) override {
    repaired_.push_back({record.index, record.code, record.field, std::string(record.message)});
    repaired_texts_.emplace_back(record.text);
  }

  // What was told of repaired records, and their texts.
  [[nodiscard]] const std::vector<RecordError>& repaired() const { return repaired_; }
  [[nodiscard]] const std::vector<std::string>& repaired_texts() const { return repaired_texts_; }
  [[nodiscard]] std::size_t size() const { return memory_.size(); }
  [[nodiscard]] std::uint64_t allocated_hash(std::size_t row) const { return hashes_[row]; }
  [[nodiscard]] StoredRow row(std::size_t index) const {
    StoredRow stored{};
    const auto* const bytes = reinterpret_cast<const char*>(memory_[index].data());
    std::memcpy(&stored.header, bytes, sizeof(RowHeader));
    stored.tuple.assign(bytes + sizeof(RowHeader), sizes_[index]);
    return stored;
  }

 private:
  std::size_t rows_max_;
  std::vector<std::vector<std::uint64_t>> memory_;
  std::vector<std::uint64_t> hashes_;
  std::vector<std::uint32_t> sizes_;
  std::vector<RecordError> repaired_;
  std::vector<std::string> repaired_texts_;
};

// The fields of a tuple as bytes; null where the field is null. Nothing when the tuple is not of the format.
using Fields = std::vector<std::optional<std::string>>;
[[nodiscard]] std::optional<Fields> read_tuple(std::string_view tuple);

[[nodiscard]] std::uint64_t big_endian_number(std::string_view bytes);
[[nodiscard]] float as_real(const std::optional<std::string>& field);
[[nodiscard]] double as_double(const std::optional<std::string>& field);
[[nodiscard]] std::int64_t as_int64(const std::optional<std::string>& field);
[[nodiscard]] std::int32_t as_int32(const std::optional<std::string>& field);

// One call of a decoder and everything that came of it.
struct Decoded {
  DecodeResult result;
  KeepingSink rows;
  RecordErrors errors;

  // The code of the only error; fails the test otherwise.
  [[nodiscard]] RecordErrorCode only_error() const;
  [[nodiscard]] Fields fields(std::size_t row) const;
};

[[nodiscard]] Decoded decode(const Schema& schema, std::string_view body,
                             BodyFormat format = BodyFormat::detect, DecoderLimits limits = {},
                             char padding = '\0', std::string_view source = {});

[[nodiscard]] SchemaPointer compile(StreamConfig config);
[[nodiscard]] SchemaPointer builtin(std::string_view name);
// A stream with "device" and "time" and one column "value" of the type, to be changed by the test.
[[nodiscard]] StreamConfig stream_with(ColumnConfig value);
// A record of that stream: {"device":"d","time":"2024-05-01T12:00:00Z","value":VALUE}.
[[nodiscard]] std::string record_with(std::string_view value);

}  // namespace wellhead::test
