#include "engine/dead_letter_replay.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "codec/dead_letter.hpp"
#include "codec/record_error.hpp"

namespace wellhead {
namespace {

// How often a node that has no room, or a connection that broke, is tried.
constexpr int attempts_max = 5;
constexpr std::uint32_t pause_s_max = 10;

// The answer of a node that has no journal to remember keys in.
constexpr std::string_view keys_unavailable_code = "idempotency_unavailable";

// What a reply says of the one record that was sent.
struct ReplyFacts {
  std::uint64_t stored = 0;  // accepted, or a duplicate of what an earlier replay stored
  std::string code;
  std::string message;
};

void read_error(simdjson::dom::element error, ReplyFacts& facts) {
  std::string_view text;
  if (error["code"].get(text) == simdjson::SUCCESS) facts.code = text;
  if (error["message"].get(text) == simdjson::SUCCESS) facts.message = text;
}

ReplyFacts facts_of(const std::string& body) {
  ReplyFacts facts;
  simdjson::dom::parser parser;
  simdjson::dom::element reply;
  if (parser.parse(body).get(reply) != simdjson::SUCCESS) return facts;
  for (const char* member : {"accepted", "duplicate"}) {
    std::uint64_t count = 0;
    if (reply[member].get(count) == simdjson::SUCCESS) facts.stored += count;
  }
  simdjson::dom::element error;
  if (reply["error"].get(error) == simdjson::SUCCESS) read_error(error, facts);
  simdjson::dom::array errors;
  if (reply["errors"].get(errors) == simdjson::SUCCESS && errors.size() > 0)
    read_error(errors.at(0).value(), facts);
  return facts;
}

}  // namespace

ReplayVerdict verdict_of(const NodeReply& reply) {
  using Kind = ReplayVerdict::Kind;
  const ReplyFacts facts = facts_of(reply.body);
  const std::string reason = facts.code.empty() ? fmt::format("status {}", reply.status)
                                                : fmt::format("{}: {}", facts.code, facts.message);
  const bool passing =
      reply.status == 408 || reply.status == 409 || reply.status == 429 || reply.status >= 500;
  if (passing) return {Kind::not_now, reason};
  if (facts.code == keys_unavailable_code) return {Kind::no_keys, reason};
  if (reply.status / 100 == 2 && facts.stored > 0) return {Kind::accepted, ""};
  if (facts.code == to_string(RecordErrorCode::database_refused)) return {Kind::refused_by_database, reason};
  return {Kind::refused, reason};
}

std::string replay_headers(const DeadLetterEntry& entry) {
  return fmt::format("Content-Type: application/json\r\nIdempotency-Key: dead-letter-{}\r\nAck: commit\r\n",
                     entry.id);
}

std::string replay_target(const DeadLetterEntry& entry) {
  return entry.stream + "?dead_letter=false";
}

DeadLetterReplay::DeadLetterReplay(DeadLetterStore& store, Send send, Tell tell,
                                   std::function<void(std::uint32_t)> pause, bool repaired)
    : store_(store),
      send_(std::move(send)),
      tell_(std::move(tell)),
      pause_(std::move(pause)),
      repaired_(repaired) {}

std::expected<void, std::string> DeadLetterReplay::run(const std::vector<DeadLetterId>& ids) {
  for (const DeadLetterId& id : ids) {
    if (auto done = replay(id); !done) return done;
  }
  return {};
}

std::expected<void, std::string> DeadLetterReplay::replay(const DeadLetterId& id) {
  const auto found = store_.find(id);
  if (!found) return std::unexpected(found.error());
  if (!*found) {
    skip(id, "there is no such dead letter");
    return {};
  }
  const DeadLetterEntry& entry = **found;
  if (!entry.replayed_at.empty()) {
    skip(id, "it was replayed at " + entry.replayed_at);
    return {};
  }
  if (entry.code == dead_letter_repaired_code && !repaired_) {
    skip(id,
         "its record is stored, with NULL for what was out of range (--repaired sends it all the same, and "
         "makes a second row of it)");
    return {};
  }
  if (!entry.whole()) {
    skip(id, entry.kept_bytes == 0
                 ? "it holds no record"
                 : fmt::format("only the first {} of its {} bytes were kept (dead_letter.payload_bytes_max)",
                               entry.kept_bytes, entry.payload_bytes));
    return {};
  }
  const auto verdict = ask(entry);
  if (!verdict) return std::unexpected(verdict.error());
  if (verdict->kind == ReplayVerdict::Kind::accepted) {
    ++counts_.accepted;
    return store_.mark_replayed(id);
  }
  if (verdict->kind == ReplayVerdict::Kind::no_keys)
    return std::unexpected(fmt::format(
        "Nothing of {} or behind it was replayed: this node has no journal, so it could store a "
        "record twice when a replay is repeated. Replay to a node that has one (--node). It says: {}",
        id.text(), verdict->reason));
  ++counts_.refused;
  tell_(fmt::format("{}: refused again: {}", id.text(), verdict->reason));
  if (verdict->kind == ReplayVerdict::Kind::refused) return {};
  tell_(fmt::format("{}: the database's refusal made a new dead letter, which takes its place", id.text()));
  return store_.mark_replayed(id);
}

std::expected<ReplayVerdict, std::string> DeadLetterReplay::ask(const DeadLetterEntry& entry) {
  std::string trouble;
  for (int attempt = 1; attempt <= attempts_max; ++attempt) {
    const auto reply = send_(entry);
    if (reply) {
      ReplayVerdict verdict = verdict_of(*reply);
      if (verdict.kind != ReplayVerdict::Kind::not_now) return verdict;
      trouble = "it answers " + verdict.reason;
    } else {
      trouble = reply.error();
    }
    const std::uint32_t wanted = reply ? reply->retry_after_s : 0;
    if (attempt < attempts_max) pause_(std::clamp<std::uint32_t>(wanted, 1, pause_s_max));
  }
  return std::unexpected(fmt::format(
      "The replay stopped at {}: the node does not take it: {}. Whether it has this one is not known; "
      "run the replay again, which stores nothing twice.",
      entry.id, trouble));
}

void DeadLetterReplay::skip(const DeadLetterId& id, std::string_view reason) {
  ++counts_.unsendable;
  tell_(fmt::format("{}: not replayed: {}", id.text(), reason));
}

}  // namespace wellhead
