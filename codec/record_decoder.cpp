#include "codec/record_decoder.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "base/json_text.hpp"
#include "codec/quality.hpp"
#include "codec/row_encoder.hpp"

namespace wellhead {
namespace {

namespace ondemand = simdjson::ondemand;

constexpr std::int64_t us_per_second = 1'000'000;

// What stands between a key's quotes. simdjson's first stage has made sure that the closing one is there.
std::string_view key_content(const char* raw, bool& has_escapes) noexcept {
  const char* at = raw;
  has_escapes = false;
  for (; *at != '"'; ++at) {
    if (*at == '\\') {
      has_escapes = true;
      ++at;
    }
  }
  return {raw, static_cast<std::size_t>(at - raw)};
}

}  // namespace

const StreamConfig& RecordDecoder::take_rules(const Schema& schema) {
  if (rules_.size() <= schema.index()) rules_.resize(schema.index() + std::size_t{1});
  RulesHold& rules = rules_[schema.index()];
  rules.refresh(schema);
  schema_ = &schema;
  rules_schema_ = &rules.schema();
  index_ = &rules_schema_->lookup();
  attributes_ = rules.attributes();
  WELLHEAD_ASSERT(index_->plans().size() == schema.columns().size());
  return rules.config();
}

void RecordDecoder::start_request(const DecodeRequest& request) {
  const Schema& schema = request.schema;
  const StreamConfig& config = take_rules(schema);
  const std::int64_t receive_time_us = request.receive_time_us;
  late_before_us_ = receive_time_us - config.scoring.late_after_s * us_per_second;
  ahead_after_us_ = receive_time_us + config.scoring.ahead_after_s * us_per_second;
  fill_request_blank(request);
  slots_.resize(index_->plans().size());
  units_.resize(index_->unit_columns().size());
  if (followers_.size() <= schema.index()) followers_.resize(schema.index() + std::size_t{1});
  follower_ = &followers_[schema.index()];
  // A stream's predictions are only guesses, so those of another schema with the same index do no harm once
  // they are of the right number.
  if (follower_->size() != index_->keys().size() + 1) follower_->assign(index_->keys().size() + 1, 0);
  fields_.start_request(receive_time_us - config.past_max_s * us_per_second,
                        receive_time_us + config.future_max_s * us_per_second, index_->time_column());
}

void RecordDecoder::fill_request_blank(const DecodeRequest& request) {
  request_blank_ = index_->blank();
  for (const std::uint16_t column : index_->receive_times()) {
    request_blank_[column].bits = static_cast<std::uint64_t>(request.receive_time_us);
    request_blank_[column].length = sizeof(std::int64_t);
  }
  if (request.source.empty()) return;
  senders_.resize(index_->senders().size());
  for (std::size_t number = 0; number < senders_.size(); ++number) {
    const std::uint16_t column = index_->senders()[number];
    senders_[number] = storable_text(request.source, index_->plans()[column].config->text_bytes_max);
    request_blank_[column].text = senders_[number].data();
    request_blank_[column].length = static_cast<std::int32_t>(senders_[number].size());
  }
}

void RecordDecoder::reset_slots() {
  std::memcpy(slots_.data(), request_blank_.data(), request_blank_.size() * sizeof(Slot));
  for (NamedUnit& unit : units_) unit = {};
  previous_key_ = static_cast<std::uint16_t>(index_->keys().size());
}

[[gnu::flatten]] RecordOutcome RecordDecoder::read(ondemand::object& object) {
  reset_slots();
  slots_filled_ = true;
  for (auto item : object) {
    if (item.error() != simdjson::SUCCESS) return RecordOutcome::broken;
    // By reference: a copy would load what was just stored in other pieces, which stalls for every field.
    ondemand::field&& field = std::move(item).value_unsafe();
    if (read_field(field) == ValueOutcome::broken) return RecordOutcome::broken;
  }
  if (!rejection().active()) check_required();
  if (!rejection().active()) convert_units();
  if (fields_.repair().active()) keep_field(fields_.repair());
  if (!rejection().active()) return RecordOutcome::accepted;
  keep_field(rejection());
  return RecordOutcome::rejected;
}

// What is told of a record may be read when its rules are gone: the field goes by the stream's own name of
// it.
void RecordDecoder::keep_field(Rejection& rejection) const {
  if (rules_schema_ == schema_ || rejection.field().empty()) return;
  const auto own = std::ranges::find(schema_->columns(), rejection.field(), &ColumnConfig::name);
  WELLHEAD_ASSERT(own != schema_->columns().end());
  rejection.rename_field(own->name);
}

RecordOutcome RecordDecoder::refuse(ondemand::value& value) {
  return refuse(fields_.skip(value));
}

RecordOutcome RecordDecoder::refuse(std::string_view text) {
  return refuse(fields_.skip(text));
}

RecordOutcome RecordDecoder::refuse(ValueOutcome skipped) {
  if (skipped == ValueOutcome::broken) return RecordOutcome::broken;
  rejection().set(RecordErrorCode::not_an_object, {}, [] {
    return std::string("A record must be a JSON object, such as {\"device_id\": \"well-1\"}.");
  });
  return RecordOutcome::rejected;
}

ValueOutcome RecordDecoder::read_field(ondemand::field& field) {
  const char* const raw = field.key().raw();
  ondemand::value& value = field.value();
  std::uint16_t& guess = (*follower_)[previous_key_];
  if (!index_->keys()[guess].matches(raw)) [[unlikely]] {
    std::uint16_t found = no_index;
    std::string_view key;
    if (!find_key(raw, found, key)) return ValueOutcome::broken;
    if (found == no_index) return read_unknown(value, key);
    guess = found;
  }
  previous_key_ = guess;
  // Once a record is refused, the rest of it is only checked to be JSON.
  if (rejection().active()) return fields_.skip(value);
  return read_entry(index_->keys()[previous_key_], value);
}

// False when the key is not a JSON string.
bool RecordDecoder::find_key(const char* raw, std::uint16_t& index, std::string_view& key) {
  index = index_->find_in_place(raw, key);
  if (index != no_index || !key.empty()) return true;
  bool has_escapes = false;
  key = key_content(raw, has_escapes);
  if (!has_escapes) return true;
  std::string_view unescaped;
  const JsonFault fault = fields_.unescape(key, unescaped);
  if (fault == JsonFault::none) index = index_->find(unescaped);
  return fault != JsonFault::malformed;
}

ValueOutcome RecordDecoder::read_unknown(ondemand::value& value, std::string_view key) {
  const ValueOutcome outcome = fields_.skip(value);
  if (outcome == ValueOutcome::broken || !rules_schema_->config().reject_unknown_fields) return outcome;
  rejection().set(RecordErrorCode::unknown_field, {}, [&] {
    return "The stream " + in_quotes(schema_->name()) + " has no field " + in_quotes(key) + ".";
  });
  return ValueOutcome::rejected;
}

ValueOutcome RecordDecoder::read_entry(const KeyEntry& entry, ondemand::value& value) {
  if (entry.unit_slot != no_index) return read_unit(entry, value);
  const ColumnPlan& plan = index_->plans()[entry.column];
  Slot& slot = slots_[entry.column];
  if (slot.seen) [[unlikely]]
    return refuse_duplicate(plan, value);
  slot.seen = true;
  const ValueOutcome outcome = fields_.decode(value, plan, slot);
  slot.given = outcome == ValueOutcome::taken;
  return outcome;
}

ValueOutcome RecordDecoder::read_unit(const KeyEntry& entry, ondemand::value& value) {
  const ColumnPlan& plan = index_->plans()[index_->unit_columns()[entry.unit_slot]];
  NamedUnit& unit = units_[entry.unit_slot];
  if (unit.seen) return refuse_duplicate(plan, value);
  unit.seen = true;
  const ValueOutcome outcome = fields_.decode_unit(value, plan, unit.name);
  unit.given = outcome == ValueOutcome::taken;
  return outcome;
}

ValueOutcome RecordDecoder::refuse_duplicate(const ColumnPlan& plan, ondemand::value& value) {
  if (fields_.skip(value) == ValueOutcome::broken) return ValueOutcome::broken;
  rejection().set(RecordErrorCode::duplicate_key, plan.config->name, [&] {
    return "The record gives " + in_quotes(plan.config->name) +
           " (or its unit) twice, and nobody can tell which one counts.";
  });
  return ValueOutcome::rejected;
}

void RecordDecoder::check_required() {
  for (const std::uint16_t column : index_->required()) {
    if (slots_[column].given) [[likely]]
      continue;
    const std::string& name = index_->plans()[column].config->name;
    rejection().set(RecordErrorCode::missing_field, name,
                    [&] { return in_quotes(name) + " is required, and the record has none or null."; });
    return;
  }
}

void RecordDecoder::convert_units() {
  for (const std::uint16_t column : index_->converted()) {
    if (!slots_[column].given) continue;
    const ColumnPlan& plan = index_->plans()[column];
    const NamedUnit* const unit = plan.unit_slot == no_index ? nullptr : &units_[plan.unit_slot];
    const Unit* from = plan.input_unit;
    if (unit != nullptr && unit->given) from = find_unit(unit->name);
    if (from == nullptr || from->dimension != plan.unit->dimension) {
      return refuse_unit(plan, unit->name);
    }
    unit_converted_ |= !from->same_scale(*plan.input_unit);
    if (fields_.convert(plan, slots_[column], *from) == ValueOutcome::rejected) return;
  }
}

void RecordDecoder::refuse_unit(const ColumnPlan& plan, std::string_view unit) {
  rejection().set(RecordErrorCode::unknown_unit, plan.config->name, [&] {
    return in_quotes(unit) + " is no unit that " + in_quotes(plan.config->name) +
           " can be converted from; it is stored in " + plan.config->unit + ".";
  });
}

std::string_view RecordDecoder::device_id() const noexcept {
  if (!slots_filled_) return {};
  const Slot& device = slots_[index_->device_column()];
  return device.given ? std::string_view(device.text, static_cast<std::size_t>(device.length))
                      : std::string_view();
}

// False for a device that is not among those whose attributes are known.
bool RecordDecoder::fill_attributes(std::uint64_t device_hash) noexcept {
  return attributes_ == nullptr || attributes_->fill(device_hash, device_id(), slots_);
}

RecordOutcome RecordDecoder::write(std::uint32_t record_index, RowSink& rows) {
  const Slot& device = slots_[index_->device_column()];
  const Slot& time = slots_[index_->time_column()];
  WELLHEAD_ASSERT(device.given && time.length == sizeof(std::int64_t));
  const std::uint64_t device_hash = XXH3_64bits(device.text, static_cast<std::size_t>(device.length));
  const bool known_device = fill_attributes(device_hash);
  RowHeader header{.device_hash = device_hash,
                   .time_us = static_cast<std::int64_t>(time.bits),
                   .tuple_bytes = tuple_bytes(slots_),
                   .record_index = record_index,
                   .stream = schema_->index()};
  judge(header, known_device);
  std::byte* const row = rows.allocate_row(header.device_hash, header.tuple_bytes);
  if (row == nullptr) return RecordOutcome::no_memory;
  std::memcpy(row, &header, sizeof(header));
  const std::byte* const end = encode_tuple(row + sizeof(header), index_->plans(), slots_);
  WELLHEAD_ASSERT(end == row + sizeof(header) + header.tuple_bytes);
  return RecordOutcome::accepted;
}

// What the record tells of its quality by itself, into the header and the computed columns. Their slots hold
// what a perfect reading has, which is nearly always right already.
void RecordDecoder::judge(RowHeader& header, bool known_device) {
  unsigned missing = 0;
  for (const SchemaIndex::Primary& primary : index_->primaries())
    missing |= slots_[primary.column].length < 0 ? primary.scored : 0U;
  const auto when = [](bool holds, QualityReason reason) { return holds ? quality_bit(reason) : 0U; };
  header.quality_reasons = static_cast<std::uint8_t>(
      when(header.time_us < late_before_us_, QualityReason::late) |
      when(header.time_us > ahead_after_us_, QualityReason::clock_ahead) |
      when(unit_converted_, QualityReason::unit_converted) |
      when(repair().active(), QualityReason::repaired) | when(!known_device, QualityReason::unknown_device));
  header.quality_out_of_range = fields_.out_of_range();
  header.quality_missing = static_cast<std::uint16_t>(missing & ~unsigned{header.quality_out_of_range});
  const std::uint64_t flags =
      quality_flags(header.quality_reasons, header.quality_missing, header.quality_out_of_range);
  if (flags == 0) return;
  if (const std::uint16_t column = index_->quality_score_column(); column != no_index)
    slots_[column].bits = std::bit_cast<std::uint32_t>(static_cast<float>(quality_score(flags)));
  if (const std::uint16_t column = index_->quality_flags_column(); column != no_index)
    slots_[column].bits = flags;
}

}  // namespace wellhead
