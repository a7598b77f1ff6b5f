// The intake of a reactor: decodes requests into batches, one open batch a shard, makes them durable in the
// journal, and gives them to their shards.
//
// In:  bytes of a request (submit), completions of the journal's operations, batches coming back from the
// shards (turn). Out: blocks to the journal, batches to the shards' mailboxes, outcomes to the sessions.
// Invariants: a batch is open, sealed, in the block on its way, away at a shard, or free, never two of these;
// all rows of a request are in one block; a request is answered exactly once, by RequestBook.
//
// A shard gets batches only as a favour: those past its share of the memory are let go as soon as they are
// durable, and the shard reads them from the journal (LaneBoard says how far it may read). Without a journal
// every batch goes to its shard, and what is acknowledged is the commit.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "codec/decoder.hpp"
#include "journal/journal.hpp"
#include "net/dead_letter_box.hpp"
#include "net/intake.hpp"
#include "net/journal_gate.hpp"
#include "net/request_book.hpp"
#include "net/retry_book.hpp"
#include "queue/batch.hpp"
#include "queue/batch_pool.hpp"
#include "queue/lane.hpp"
#include "queue/mailbox.hpp"

namespace wellhead {

// What a reactor sees of a shard.
struct ShardPort {
  Mailbox* inbox;
  std::function<bool()> available;       // can it commit now? Any thread; asked once a turn
  std::function<std::string()> problem;  // why not: a sentence
};

struct BatchingOptions {
  std::uint32_t reactor_index = 0;
  std::size_t batch_bytes = 256U << 10;  // a multiple of 4 KiB
  std::uint32_t batches_max = 256;       // per reactor: these are the credits that bound every queue
  // Without a journal: with fewer at a shard, an open batch is sent at the turn's end, full or not.
  std::uint32_t batches_away_eager = 4;
  // The journal's own bound; at least block_bytes_min().
  std::size_t block_bytes_max = 32U << 20;
  std::uint32_t receipt_digest = 0;     // of the journal: net/receipt.hpp
  std::uint32_t requests_max = 65'536;  // taken and not answered
  std::size_t streams = 0;              // so many of the first have IntakeStats::rejected_by_stream
  DecoderLimits decoder{};
  DeadLetterOptions dead_letter{};
};

// What of a block is left for its ledger section.
[[nodiscard]] constexpr std::size_t ledger_share(std::size_t block_bytes_max) noexcept {
  constexpr std::size_t divisor = 16;
  return block_bytes_max / divisor;
}
// The smallest BatchingOptions::block_bytes_max: a batch of each shard beside the ledger's share.
[[nodiscard]] constexpr std::size_t block_bytes_min(std::size_t batch_bytes, std::size_t shards) noexcept {
  const std::size_t rows = batch_bytes * shards;
  const std::size_t bytes = rows + rows / 15 + 1;
  return (bytes + Batch::alignment - 1) / Batch::alignment * Batch::alignment;
}
static_assert(block_bytes_min(4096, 1) - ledger_share(block_bytes_min(4096, 1)) >= 4096);

class BatchingIntake final : public Intake, private RowSink {
 public:
  // `returns` is this reactor's own mailbox, where shards send batches back. `board` has this reactor and as
  // many shards as there are ports. Without `writer` there is no journal: batches are numbered here and are
  // acknowledged when they are committed. Without `ledger`, which wants a journal, no request can be
  // repeated. All of it outlives the intake.
  BatchingIntake(const BatchingOptions& options, std::vector<ShardPort> shards, Mailbox& returns,
                 const Clock& clock, LaneBoard& board, JournalWriter* writer, LedgerTable* ledger = nullptr);
  ~BatchingIntake() override;

  [[nodiscard]] SubmitResult submit(const IntakeRequest& request) override;
  [[nodiscard]] SubmitResult reject_too_large(const IntakeRequest& request,
                                              std::uint64_t record_bytes) override;
  void describe_sources(std::function<std::string(ConnectionId)> describe) override {
    describe_source_ = std::move(describe);
  }
  std::size_t turn(RequestListener& listener) override;
  [[nodiscard]] std::optional<JournalOperation> journal_operation() override;
  void on_journal_completion(std::int64_t result) override;
  void reopen_journal() override;
  void begin_stop() override { stopping_ = true; }
  [[nodiscard]] LedgerTable* ledger() override { return ledger_; }
  void count_duplicates(std::uint32_t records) override;
  [[nodiscard]] bool prepare_sleep() override;
  void finish_sleep() override;
  [[nodiscard]] int wake_fd() const override { return returns_.wake_fd(); }
  [[nodiscard]] std::chrono::nanoseconds sleep_max() const override;
  [[nodiscard]] std::size_t pending() const override { return book_.pending(); }
  [[nodiscard]] const IntakeStats& stats() const override { return stats_; }

 private:
  // A shard as this reactor works with it.
  struct Lane {
    ShardPort port;
    Mailbox::Sender sender;
    Batch* open = nullptr;       // rows are added here
    std::vector<Batch*> sealed;  // full, waiting for the end of the turn or for the journal
    std::uint32_t away = 0;      // sent and not back
    std::uint64_t sequence = 0;  // of the last batch that is durable, or, without a journal, sent
    bool spilled = false;        // in the completion at hand: the shard is to look at the board
    // Where this lane stood when the request in work began, to take its rows back.
    std::size_t sealed_before = 0;
    std::optional<BatchMark> open_mark;
  };
  // What there was not enough of for the last request that did not fit.
  enum class Shortage : std::uint8_t { batches, block, returns, ledger };
  // Who was refused and is owed on_capacity(): by what stood in the way. While that is
  // about to change, those who come later are refused by the same at once: they are not decoded in vain, and
  // do not overtake who waits.
  struct Refused {
    bool for_memory = false;
    bool for_returns = false;  // of who waits for the commit
    bool by_journal = false;
    bool by_shard = false;
  };

  std::byte* allocate_row(std::uint64_t device_hash, std::uint32_t tuple_bytes) override;
  [[nodiscard]] bool wants_rejected() const noexcept override { return dead_letters_.wants(); }
  void on_rejected(const RejectedRecord& record) override { dead_letters_.add(record); }
  void on_repaired(const RejectedRecord& record) override { dead_letters_.add_repaired(record); }
  // The request stands, whether there is room for its dead letters or not.
  void enter(const IntakeRequest& request, const DecodeResult& decoded, bool rows_kept,
             std::int64_t receive_time_us);
  [[nodiscard]] DeadLetterBox::Posted post_dead_letters(const IntakeRequest& request,
                                                        std::int64_t receive_time_us, std::uint32_t records);
  [[nodiscard]] std::string source_of(const IntakeRequest& request) const;
  [[nodiscard]] bool spare_room() const;
  [[nodiscard]] Batch* acquire_batch(std::uint32_t shard);
  void release_batch(Batch* batch);
  void drop_open(Lane& lane);

  [[nodiscard]] std::optional<SubmitResult> refuse_before_decoding(AckLevel ack);
  [[nodiscard]] bool room_is_coming() const;
  [[nodiscard]] SubmitResult refuse_for_memory();
  [[nodiscard]] DecodeResult decode(const IntakeRequest& request, std::int64_t time_us, RowSink& rows);
  [[nodiscard]] SubmitResult submit_fresh(const IntakeRequest& request, std::int64_t now_us);
  [[nodiscard]] SubmitResult submit_repeated(const IntakeRequest& request, const RetryBook::Verdict& verdict);
  [[nodiscard]] std::size_t parts_in_work();
  [[nodiscard]] bool reserve_ledger();
  void begin_rows();
  void undo(std::uint32_t slot);
  void take_rows_back();
  template <typename Visit>
  void for_each_batch_in_work(Visit&& visit);
  [[nodiscard]] bool reserve_returns();

  std::size_t receive_returned();
  void look_at_shards();
  [[nodiscard]] bool capacity_due(bool moved) const;
  [[nodiscard]] bool may_keep_away(const Lane& lane) const;
  void number_unsent();
  std::size_t pass_on();
  std::size_t send_batches();
  void number(Lane& lane, Batch& batch);
  void gather_unsent();
  void forget_unsent();
  std::size_t begin_block();
  std::size_t give_up_unsent(const RequestBook::Abandonment& why);
  void on_block_durable();
  void on_block_failed();
  void send(Lane& lane, Batch* batch);

  BatchingOptions options_;
  Mailbox& returns_;
  const Clock& clock_;
  LaneBoard& board_;
  std::optional<JournalGate> gate_;
  Decoder decoder_;
  DeadLetterBox dead_letters_;
  std::function<std::string(ConnectionId)> describe_source_;
  IntakeStats stats_;
  RequestBook book_;
  LedgerTable* ledger_;
  RetryBook retries_;
  std::vector<Lane> lanes_;
  BatchPool batches_;
  std::vector<Batch*> unsent_;        // begin_block()'s own, kept for its memory
  std::uint32_t batches_unsent_ = 0;  // open or sealed
  std::uint32_t returns_owed_ = 0;    // batches whose commit a request waits for, with a journal
  std::uint32_t returns_wanted_ = 0;  // of these, by the request that asked last
  std::uint32_t others_away_ = 0;     // batches at shards that nobody waits for, with a journal
  // With a journal; see the constructor.
  std::uint32_t batches_unsent_max_;
  std::uint32_t batches_away_max_;  // of a lane, but those that must return
  std::uint32_t returns_owed_max_;
  std::uint32_t batches_kept_max_;    // returns_owed_ and others_away_ together
  std::size_t ledger_bytes_max_ = 0;  // of a block's ledger section
  std::uint32_t request_in_work_ = 0;
  RowKind kind_in_work_ = RowKind::record;
  Shortage shortage_ = Shortage::batches;
  std::size_t unavailable_shard_ = 0;  // lanes_.size() when all are available
  std::uint64_t settled_ = 0;          // blocks decided since the last turn
  Refused refused_;
  bool stopping_ = false;
};

}  // namespace wellhead
