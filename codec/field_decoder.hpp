// One JSON value in, one slot filled.
#pragma once

#include <simdjson.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>

#include "codec/decoder.hpp"
#include "codec/json_check.hpp"
#include "codec/rejection.hpp"
#include "codec/schema_index.hpp"

namespace wellhead {

enum class ValueOutcome : std::uint8_t {
  taken,     // good
  absent,    // null, or out of range and to be stored as null
  rejected,  // JSON, but not what the column takes: rejection() says why
  broken,    // not JSON: nothing behind it can be trusted
};

// One per thread. Texts in slots point into the record or into memory that start_record() takes back.
class FieldDecoder {
 public:
  explicit FieldDecoder(DecoderLimits limits);

  // `window_*_us`: bounds of the time column.
  void start_request(std::int64_t window_begin_us, std::int64_t window_end_us,
                     std::uint16_t time_column) noexcept;
  // `wants_message`: somebody reads why the record is rejected; `wants_repair`: or why it was repaired.
  void start_record(bool wants_message, bool wants_repair) noexcept {
    rejection_.start_record(wants_message);
    repair_.start_record(wants_repair);
    out_of_range_ = 0;
    scratch_used_ = 0;
  }

  [[nodiscard]] ValueOutcome decode(simdjson::ondemand::value& value, const ColumnPlan& plan, Slot& slot) {
    if (plan.plain_real) [[likely]]
      return decode_plain_real(value, plan, slot);
    return decode_any(value, plan, slot);
  }
  // `plan` is the column whose unit this is.
  [[nodiscard]] ValueOutcome decode_unit(simdjson::ondemand::value& value, const ColumnPlan& plan,
                                         std::string_view& unit);
  // Passes over a value nobody reads, checking that it is JSON.
  [[nodiscard]] ValueOutcome skip(simdjson::ondemand::value& value);
  [[nodiscard]] ValueOutcome skip(std::string_view text);
  // Turns the number in the slot of a converting column into the column's unit. REQUIRES `from` of its
  // dimension.
  [[nodiscard]] ValueOutcome convert(const ColumnPlan& plan, Slot& slot, const Unit& from);

  // Removes a key's or a text's escapes into scratch memory. Where that is full, the record is longer than
  // the limit: it is rejected and the text is empty.
  [[nodiscard]] JsonFault unescape(std::string_view content, std::string_view& unescaped);

  [[nodiscard]] Rejection& rejection() noexcept { return rejection_; }
  // Active when a value of the record was out of range and is NULL instead: the first such value's reason.
  [[nodiscard]] const Rejection& repair() const noexcept { return repair_; }
  [[nodiscard]] Rejection& repair() noexcept { return repair_; }
  // The scored columns of the record whose values were out of range.
  [[nodiscard]] std::uint16_t out_of_range() const noexcept { return out_of_range_; }

 private:
  // The commonest field by far, kept short enough to be inlined; whatever is unusual goes the general way.
  [[nodiscard]] ValueOutcome decode_plain_real(simdjson::ondemand::value& value, const ColumnPlan& plan,
                                               Slot& slot) {
    double number = 0;
    if (value.raw_json_token().size() > exact_token_bytes_max ||
        value.get_double().get(number) != simdjson::SUCCESS) [[unlikely]] {
      return decode_any(value, plan, slot);
    }
    if (!(std::abs(number) < real_limit)) [[unlikely]]
      return store_floating(number, plan, slot);
    const auto stored = static_cast<float>(number);
    if (!(stored >= plan.minimum && stored <= plan.maximum)) [[unlikely]]
      return store_floating(number, plan, slot);
    slot.bits = std::bit_cast<std::uint32_t>(stored);
    slot.length = sizeof(float);
    return ValueOutcome::taken;
  }
  [[nodiscard]] ValueOutcome decode_any(simdjson::ondemand::value& value, const ColumnPlan& plan, Slot& slot);
  [[nodiscard]] ValueOutcome decode_floating(simdjson::ondemand::value& value, const ColumnPlan& plan,
                                             Slot& slot);
  [[nodiscard]] ValueOutcome store_floating(double number, const ColumnPlan& plan, Slot& slot);
  [[nodiscard]] ValueOutcome decode_integer(std::string_view token, const ColumnPlan& plan, Slot& slot);
  [[nodiscard]] ValueOutcome store_integer(std::int64_t number, const ColumnPlan& plan, Slot& slot);
  [[nodiscard]] ValueOutcome decode_text(simdjson::ondemand::value& value, const ColumnPlan& plan,
                                         Slot& slot);
  [[nodiscard]] ValueOutcome decode_time_text(simdjson::ondemand::value& value, const ColumnPlan& plan,
                                              Slot& slot);
  [[nodiscard]] ValueOutcome decode_time_number(std::string_view token, const ColumnPlan& plan, Slot& slot);
  [[nodiscard]] ValueOutcome store_time(std::int64_t time_us, const ColumnPlan& plan, Slot& slot);
  [[nodiscard]] ValueOutcome decode_boolean(std::string_view token, Slot& slot);
  [[nodiscard]] ValueOutcome decode_jsonb(simdjson::ondemand::value& value, const ColumnPlan& plan,
                                          Slot& slot);

  [[nodiscard]] ValueOutcome string_content(simdjson::ondemand::value& value, const ColumnPlan& plan,
                                            std::string_view& content);
  [[nodiscard]] ValueOutcome mismatch(simdjson::ondemand::value& value, const ColumnPlan& plan,
                                      std::string_view wanted);
  [[nodiscard]] ValueOutcome fault(JsonFault fault, std::string_view field);
  // What becomes of a number that does not fit the type; of one outside the range, `taken` means that it is
  // to be kept.
  [[nodiscard]] ValueOutcome out_of_type(const ColumnPlan& plan, Slot& slot, std::string_view number);
  template <typename Number>
  [[nodiscard]] ValueOutcome out_of_range(const ColumnPlan& plan, Slot& slot, Number number);
  template <typename Sentence>
  [[nodiscard]] ValueOutcome refuse_number(const ColumnPlan& plan, Slot& slot, Sentence&& sentence);

  // A number of this many bytes, whitespace behind it included, has at most 19 digits. simdjson 3.0.1
  // misreads longer ones below 1 (0.30000000000000004440892098500626 as 4.7e-14), so they are left to the
  // standard library.
  static constexpr std::size_t exact_token_bytes_max = 19;
  // Safe to cast to float and never infinite after it.
  static constexpr double real_limit = std::numeric_limits<float>::max();

  std::uint32_t depth_max_;
  std::size_t scratch_bytes_;
  std::unique_ptr<char[]> scratch_;  // unescaped texts of one record
  std::size_t scratch_used_ = 0;
  std::int64_t window_begin_us_ = 0;
  std::int64_t window_end_us_ = 0;
  std::uint16_t time_column_ = no_index;
  std::uint16_t out_of_range_ = 0;
  Rejection rejection_;
  Rejection repair_;
};

}  // namespace wellhead
