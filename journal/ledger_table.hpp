// The ledger in memory, as all reactors share it: see journal/key_table.hpp and journal/producer_table.hpp.
// Only requests that carry a key or lines of a producer come here, so the others pay nothing.
#pragma once

#include <variant>

#include "journal/key_table.hpp"
#include "journal/ledger.hpp"
#include "journal/ledger_stripes.hpp"
#include "journal/producer_table.hpp"

namespace wellhead {

struct LedgerTable {
  explicit LedgerTable(const LedgerOptions& ledger_options)
      : options(ledger_options), keys(options, stats), producers(options, stats) {}

  void restore(const LedgerEntry& entry) {
    if (const auto* key = std::get_if<RequestEntry>(&entry))
      keys.restore(*key);
    else
      producers.restore(std::get<ProducerEntry>(entry));
  }
  void finish_restore(std::int64_t now_us) {
    keys.finish_restore(now_us);
    producers.finish_restore(now_us);
  }

  const LedgerOptions options;
  LedgerStats stats;
  KeyTable keys;
  ProducerTable producers;
};

}  // namespace wellhead
