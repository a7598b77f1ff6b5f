#include "codec/decoder.hpp"

#include <simdjson.h>

#include <bit>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "codec/body_framing.hpp"
#include "codec/json_check.hpp"
#include "codec/record_decoder.hpp"
#include "codec/rejection.hpp"

namespace wellhead {

static_assert(input_padding_bytes >= simdjson::SIMDJSON_PADDING, "simdjson reads past the end of its input");
static_assert(input_padding_bytes > key_bytes_max, "keys are compared in place, with their closing quote");

namespace {

namespace ondemand = simdjson::ondemand;

// Why simdjson would not go on.
RecordErrorCode code_of(simdjson::error_code error) noexcept {
  return error == simdjson::UTF8_ERROR ? RecordErrorCode::invalid_utf8 : RecordErrorCode::malformed_json;
}

constexpr std::string_view body_forms = "send one, an array of them, or one a line.";

// `subject`: "This record", "The body".
std::string broken_sentence(std::string_view subject, RecordErrorCode code) {
  if (code == RecordErrorCode::invalid_utf8)
    return std::string(subject) + " contains bytes that are not UTF-8.";
  return std::string(subject) + " is not well-formed JSON, or it was cut short.";
}

}  // namespace

struct Decoder::State {
  explicit State(DecoderLimits decoder_limits);

  void start(const DecodeRequest& request, RowSink& row_sink, RecordErrors& record_errors);
  void decode_body(BodyFormat format);
  void decode_lines();
  void decode_single_object();
  void decode_array();
  // False when the array cannot be followed any further, with broken_code set, or there is no more memory.
  bool decode_elements(ondemand::array& array, ondemand::document& document);
  bool decode_element(ondemand::value& element, ondemand::document& document);

  // Parses a text that should be one record. broken_code is set when it is not JSON.
  RecordOutcome read_document(std::string_view text);
  RecordOutcome read_element(ondemand::value& element, ondemand::document& document);
  RecordOutcome refuse_large_record();
  bool reserve(std::size_t bytes);

  void start_record();
  // Settles the record at hand. REQUIRES that it is not broken.
  void finish_record(RecordOutcome outcome);
  void finish_rejected_record();
  void finish_repaired_record();
  void refuse_broken_record();
  void tell_rejected(RecordErrorCode code, std::string_view field, std::string_view message);
  [[nodiscard]] RejectedRecord told(RecordErrorCode code, std::string_view field,
                                    std::string_view message) const;
  void look_who_listens();
  void fail_body(RecordErrorCode code, std::string message);

  DecoderLimits limits;
  RecordDecoder records;
  ondemand::parser parser;

  // Of the call at hand.
  std::string_view body;
  RowSink* rows = nullptr;
  RecordErrors* errors = nullptr;
  bool tells_rejected = false;   // the rows' owner wants to hear of rejected and repaired records
  bool wants_message = false;    // somebody will read the next rejection's sentence
  std::string_view record_text;  // of the record at hand, once its end is known
  RecordErrorCode broken_code = RecordErrorCode::malformed_json;
  DecodeResult result;
};

Decoder::Decoder(DecoderLimits limits) {
  WELLHEAD_ASSERT(limits.record_bytes_max > 0 &&
                  limits.record_bytes_max <= DecoderLimits::record_bytes_limit);
  WELLHEAD_ASSERT(limits.depth_max > 0 && limits.depth_max <= DecoderLimits::depth_limit);
  state_ = std::make_unique<State>(limits);
}

Decoder::~Decoder() = default;

DecodeResult Decoder::decode(const DecodeRequest& request, RowSink& rows, RecordErrors& errors) {
  state_->start(request, rows, errors);
  state_->decode_body(request.format);
  return std::move(state_->result);
}

Decoder::State::State(DecoderLimits decoder_limits) : limits(decoder_limits), records(decoder_limits) {
  // Room for the longest line from the start. What is not used costs address space only.
  WELLHEAD_ASSERT(reserve(limits.record_bytes_max));
}

void Decoder::State::start(const DecodeRequest& request, RowSink& row_sink, RecordErrors& record_errors) {
  body = without_byte_order_mark(request.body);
  rows = &row_sink;
  errors = &record_errors;
  result = {};
  records.start_request(request);
  look_who_listens();
}

void Decoder::State::decode_body(BodyFormat format) {
  switch (format == BodyFormat::ndjson ? BodyShape::lines : detect_shape(body)) {
    case BodyShape::lines:
      return decode_lines();
    case BodyShape::array:
      return decode_array();
    case BodyShape::object:
      return decode_single_object();
    case BodyShape::empty:
      return fail_body(RecordErrorCode::malformed_json,
                       "The body is empty and holds no JSON object; " + std::string(body_forms));
    case BodyShape::other:
      return fail_body(RecordErrorCode::not_an_object,
                       "The body holds no JSON object; " + std::string(body_forms));
  }
}

// Every line is parsed by itself, so that a broken one, with a string left open say, takes nothing from the
// next.
void Decoder::State::decode_lines() {
  LineReader lines(body);
  std::string_view line;
  while (result.status == DecodeStatus::complete && lines.next(line)) {
    start_record();
    const RecordOutcome outcome = read_document(line);
    if (outcome == RecordOutcome::broken) {
      refuse_broken_record();
    } else {
      finish_record(outcome);
    }
  }
}

void Decoder::State::decode_single_object() {
  start_record();
  const RecordOutcome outcome = read_document(trimmed(body));
  if (outcome == RecordOutcome::broken) {
    fail_body(broken_code, broken_sentence("The body", broken_code));
  } else {
    finish_record(outcome);
  }
}

RecordOutcome Decoder::State::read_document(std::string_view text) {
  record_text = text;
  if (text.size() > limits.record_bytes_max) return refuse_large_record();
  broken_code = RecordErrorCode::malformed_json;
  ondemand::document document;
  auto error = parser.iterate(text.data(), text.size(), text.size() + input_padding_bytes).get(document);
  if (error != simdjson::SUCCESS) {
    broken_code = code_of(error);
    return RecordOutcome::broken;
  }
  ondemand::object object;
  error = document.get_object().get(object);
  if (error == simdjson::INCORRECT_TYPE) return records.refuse(trimmed(text));
  if (error != simdjson::SUCCESS) return RecordOutcome::broken;
  const RecordOutcome outcome = records.read(object);
  // Behind the object there is nothing but whitespace, or the line is not one record.
  const bool at_end = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
  return at_end ? outcome : RecordOutcome::broken;
}

void Decoder::State::decode_array() {
  const std::string_view text = trimmed(body);
  if (!reserve(text.size())) {
    result.status = DecodeStatus::no_memory;
    return;
  }
  broken_code = RecordErrorCode::malformed_json;
  ondemand::document document;
  ondemand::array array;
  const auto error =
      parser.iterate(text.data(), text.size(), text.size() + input_padding_bytes).get(document);
  if (error != simdjson::SUCCESS) {
    broken_code = code_of(error);
  } else if (document.get_array().get(array) == simdjson::SUCCESS && decode_elements(array, document)) {
    return;
  }
  if (result.status == DecodeStatus::complete)
    fail_body(broken_code, broken_sentence("The body", broken_code));
}

bool Decoder::State::decode_elements(ondemand::array& array, ondemand::document& document) {
  for (auto item : array) {
    ondemand::value element;
    if (std::move(item).get(element) != simdjson::SUCCESS || !decode_element(element, document)) return false;
  }
  return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
}

bool Decoder::State::decode_element(ondemand::value& element, ondemand::document& document) {
  start_record();
  const RecordOutcome outcome = read_element(element, document);
  if (outcome == RecordOutcome::broken) return false;
  finish_record(outcome);
  return result.status == DecodeStatus::complete;
}

RecordOutcome Decoder::State::read_element(ondemand::value& element, ondemand::document& document) {
  const std::string_view token = element.raw_json_token();
  ondemand::object object;
  const auto error = element.get_object().get(object);
  if (error != simdjson::SUCCESS && error != simdjson::INCORRECT_TYPE) return RecordOutcome::broken;
  const RecordOutcome outcome = error == simdjson::SUCCESS ? records.read(object) : records.refuse(element);
  // The comma or bracket behind the element. Where there is none the array is not closed, and simdjson would
  // take the padding's first byte for it.
  const char* next = nullptr;
  if (outcome == RecordOutcome::broken || document.current_location().get(next) != simdjson::SUCCESS) {
    return RecordOutcome::broken;
  }
  // A number or a string that was not read still lies before the document's location.
  const bool passed = next != token.data();
  record_text =
      trimmed(passed ? std::string_view(token.data(), static_cast<std::size_t>(next - token.data())) : token);
  return record_text.size() > limits.record_bytes_max ? refuse_large_record() : outcome;
}

RecordOutcome Decoder::State::refuse_large_record() {
  records.rejection().set(RecordErrorCode::record_too_large, {},
                          [&] { return record_too_large_sentence(limits.record_bytes_max); });
  return RecordOutcome::rejected;
}

// Room in the parser, doubling, so that slowly growing bodies do not allocate each time.
bool Decoder::State::reserve(std::size_t bytes) {
  if (bytes <= parser.capacity()) return true;
  return parser.allocate(std::bit_ceil(bytes), simdjson::DEFAULT_MAX_DEPTH) == simdjson::SUCCESS;
}

void Decoder::State::start_record() {
  ++result.received;
  records.start_record(wants_message, tells_rejected);
}

void Decoder::State::finish_record(RecordOutcome outcome) {
  if (outcome == RecordOutcome::rejected) {
    finish_rejected_record();
  } else if (records.write(result.received - 1, *rows) == RecordOutcome::accepted) {
    ++result.accepted;
    if (records.repair().active()) [[unlikely]]
      finish_repaired_record();
  } else {
    result.status = DecodeStatus::no_memory;
  }
}

void Decoder::State::finish_rejected_record() {
  ++result.rejected;
  Rejection& rejection = records.rejection();
  tell_rejected(rejection.code(), rejection.field(), rejection.message());
  rejection.add_to(*errors, result.received - 1);
  look_who_listens();
}

void Decoder::State::finish_repaired_record() {
  ++result.repaired;
  if (!tells_rejected) return;
  const Rejection& repair = records.repair();
  rows->on_repaired(told(repair.code(), repair.field(), repair.message()));
  look_who_listens();
}

void Decoder::State::refuse_broken_record() {
  ++result.rejected;
  std::string message;
  if (wants_message) message = broken_sentence("This record", broken_code);
  tell_rejected(broken_code, {}, message);
  errors->add(result.received - 1, broken_code, {}, std::move(message));
  look_who_listens();
}

void Decoder::State::tell_rejected(RecordErrorCode code, std::string_view field, std::string_view message) {
  if (tells_rejected) rows->on_rejected(told(code, field, message));
}

RejectedRecord Decoder::State::told(RecordErrorCode code, std::string_view field,
                                    std::string_view message) const {
  return {.index = result.received - 1,
          .code = code,
          .field = field,
          .message = message,
          .device_id = records.device_id(),
          .text = record_text};
}

void Decoder::State::look_who_listens() {
  tells_rejected = rows->wants_rejected();
  wants_message = tells_rejected || errors->wants_message();
}

void Decoder::State::fail_body(RecordErrorCode code, std::string message) {
  result.status = DecodeStatus::malformed_body;
  result.malformed_code = code;
  result.malformed_message = std::move(message);
}

}  // namespace wellhead
