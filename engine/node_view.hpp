// What the admin port may see of a running node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/attributes.hpp"
#include "engine/reload.hpp"
#include "journal/journal.hpp"
#include "journal/ledger_stripes.hpp"
#include "net/intake.hpp"
#include "net/reactor_stats.hpp"
#include "scoring/scorer.hpp"
#include "sink/shard.hpp"

namespace wellhead {

struct ReactorReading {
  std::string name;  // its number, or "admin"
  const ReactorStats* stats;
  const IntakeStats* intake;  // null for a reactor that takes no records
};

struct ShardReading {
  std::uint32_t index;
  ShardState state;
  std::string problem;  // a sentence; empty where there is none
  const ShardStats* stats;
  // Batches of its lanes, over all reactors and epochs: durable and not committed, committed and not flushed.
  std::uint64_t lag_batches = 0;
  std::uint64_t unflushed_batches = 0;
};

// How the readings of a stream were judged.
struct QualityReading {
  std::string stream;
  std::vector<const StreamScores*> scores;  // of each shard
};

struct JournalWriterReading {
  std::uint32_t reactor;
  bool latched;
  bool full;
  std::string problem;  // a sentence; empty while records are taken
  const JournalWriterStats* stats;
};

struct JournalReading {
  std::uint32_t epoch;
  Journal::Usage usage;
  const JournalSurvey* survey;
  std::vector<LostRows> lost;  // the survey's, and what was found damaged since
  std::uint64_t segments_trimmed;
  std::vector<JournalWriterReading> writers;
  const LedgerStats* ledger = nullptr;
};

struct MaintenanceStats;  // maintenance_thread.hpp

// Any thread. The pointers are valid as long as the view.
class NodeView {
 public:
  virtual ~NodeView() = default;
  [[nodiscard]] virtual std::vector<ReactorReading> reactors() const = 0;
  [[nodiscard]] virtual std::vector<ShardReading> shards() const = 0;
  // None where the node runs without a journal.
  [[nodiscard]] virtual std::optional<JournalReading> journal() const = 0;
  // Null where nothing is ever reloaded.
  [[nodiscard]] virtual const ReloadStats* reloads() const = 0;
  // Of the streams that have attributes.
  [[nodiscard]] virtual std::vector<AttributesReading> attributes() const = 0;
  // Names, by Schema::index().
  [[nodiscard]] virtual std::vector<std::string> stream_names() const = 0;
  // Of the streams with computed columns; empty where nothing is scored.
  [[nodiscard]] virtual std::vector<QualityReading> quality() const = 0;
  // Null where the node does not care for a database.
  [[nodiscard]] virtual const MaintenanceStats* maintenance() const { return nullptr; }
  // True once every listener is served.
  [[nodiscard]] virtual bool started() const = 0;
  // True from the first TERM on.
  [[nodiscard]] virtual bool stopping() const = 0;
};

}  // namespace wellhead
