// Sends dead letters to a running node again, as what they were: records of their stream.
//
// A letter is marked as replayed when the node has its record: stored, or refused by the database anew, which
// makes a new letter of it. The idempotency key is made of the letter's id, so that a replay that was cut off
// and is done again stores nothing twice.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dead_letter_store.hpp"
#include "engine/node_client.hpp"

namespace wellhead {

struct ReplayCounts {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;     // again
  std::uint64_t unsendable = 0;  // already replayed, stored as repaired, or not whole
};

// What the node made of a record.
struct ReplayVerdict {
  enum class Kind : std::uint8_t {
    accepted,
    refused,              // by the node: nothing of it was kept
    refused_by_database,  // there is a new dead letter of it
    not_now,              // it has no room or no database, or is at it already: try later
    no_keys,              // it cannot promise to store it once
  } kind;
  std::string reason;  // code and message where it was refused
};
// Reads a reply of the ingest endpoint.
[[nodiscard]] ReplayVerdict verdict_of(const NodeReply& reply);

class DeadLetterReplay {
 public:
  // Sends the record of a letter; the error is a sentence without its period.
  using Send = std::function<std::expected<NodeReply, std::string>(const DeadLetterEntry&)>;
  using Tell = std::function<void(std::string_view)>;

  // `tell` takes a sentence for each letter that is not accepted. `pause` waits that many seconds.
  // `repaired`: also letters of records that are stored, with NULL for what was out of range; each becomes a
  // second row.
  DeadLetterReplay(DeadLetterStore& store, Send send, Tell tell, std::function<void(std::uint32_t)> pause,
                   bool repaired = false);

  // Replays the letters in the order of `ids`. The error is a sentence: the rest was not tried.
  [[nodiscard]] std::expected<void, std::string> run(const std::vector<DeadLetterId>& ids);
  [[nodiscard]] const ReplayCounts& counts() const noexcept { return counts_; }

 private:
  [[nodiscard]] std::expected<void, std::string> replay(const DeadLetterId& id);
  [[nodiscard]] std::expected<ReplayVerdict, std::string> ask(const DeadLetterEntry& entry);
  void skip(const DeadLetterId& id, std::string_view reason);

  DeadLetterStore& store_;
  Send send_;
  Tell tell_;
  std::function<void(std::uint32_t)> pause_;
  bool repaired_;
  ReplayCounts counts_;
};

// The headers of a replay: its key, and that the reply shall tell of the database's verdict.
[[nodiscard]] std::string replay_headers(const DeadLetterEntry& entry);
// The stream, and that a record the node refuses once more shall not become a second dead letter.
[[nodiscard]] std::string replay_target(const DeadLetterEntry& entry);

}  // namespace wellhead
