#include "codec/record_error.hpp"

#include <array>
#include <utility>

namespace wellhead {
namespace {

constexpr std::array<std::string_view, record_error_code_count> names{
    "malformed_json",      "invalid_utf8",
    "not_an_object",       "too_deep",
    "record_too_large",    "duplicate_key",
    "unknown_field",       "missing_field",
    "wrong_type",          "nested_value",
    "number_out_of_range", "unknown_unit",
    "invalid_timestamp",   "timestamp_out_of_window",
    "text_too_long",       "nul_character",
    "database_refused",    "value_not_allowed",
};
static_assert(static_cast<std::size_t>(RecordErrorCode::value_not_allowed) + 1 == names.size());

}  // namespace

std::string_view to_string(RecordErrorCode code) noexcept {
  return names[static_cast<std::size_t>(code)];
}

void RecordErrors::add(std::uint32_t index, RecordErrorCode code, std::string_view field,
                       std::string message) {
  ++count_;
  ++by_code_[static_cast<std::size_t>(code)];
  if (kept_.size() >= kept_max) return;
  kept_.push_back({index, code, field, wants_message() ? std::move(message) : std::string()});
}

void RecordErrors::clear() noexcept {
  count_ = 0;
  by_code_.fill(0);
  kept_.clear();
}

}  // namespace wellhead
