#include "codec/constant_value.hpp"

#include <simdjson.h>

#include <utility>

#include "base/json_text.hpp"
#include "codec/field_decoder.hpp"
#include "codec/json_check.hpp"

namespace wellhead {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::uint32_t depth_max = DecoderLimits{}.depth_max;

// As a record would have it.
std::string as_json(const ColumnPlan& plan) {
  const std::string& value = plan.config->value;
  const bool is_text =
      plan.type == ColumnType::text || (plan.type == ColumnType::timestamptz && !is_json_number(value));
  if (!is_text) return value;
  std::string json;
  append_json_string(json, value);
  return json;
}

}  // namespace

std::expected<Slot, std::string> read_constant(const ColumnPlan& plan, std::string& memory) {
  const auto fail = [&](const std::string& reason) {
    return std::unexpected("its value is no constant: " + reason);
  };
  if (plan.config->value.empty()) return fail("there is none.");
  const std::string text = as_json(plan);
  const std::string json = "[" + text + "]";  // On-Demand reads values of documents in another way
  const simdjson::padded_string padded(json);
  ondemand::parser parser;
  ondemand::document document;
  ondemand::array array;
  ondemand::value value;
  const bool opened = parser.iterate(padded).get(document) == simdjson::SUCCESS &&
                      document.get_array().get(array) == simdjson::SUCCESS &&
                      array.at(0).get(value) == simdjson::SUCCESS;
  if (!opened || check_json(text, depth_max, JsonPurpose::discard) == JsonFault::malformed)
    return fail(in_quotes(plan.config->value) + " is not JSON.");
  FieldDecoder fields({.record_bytes_max = static_cast<std::uint32_t>(json.size())});
  fields.start_record(true, true);
  Slot slot;
  const ValueOutcome outcome = fields.decode(value, plan, slot);
  if (outcome == ValueOutcome::rejected) return fail(fields.rejection().message());
  if (outcome != ValueOutcome::taken)
    return fail(fields.repair().active() ? fields.repair().message() : "it is null.");
  if (slot.text != nullptr) {
    const bool jsonb = plan.encoding == FieldEncoding::jsonb;
    memory.assign(slot.text, static_cast<std::size_t>(slot.length) - (jsonb ? 1 : 0));
    slot.text = memory.data();
  }
  return slot;
}

}  // namespace wellhead
