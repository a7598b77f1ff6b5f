// The intake of a reactor: decodes requests into batches, one open batch a shard, and keeps account of every
// request until the fate of its last row is known.
//
// In:  bytes of a request (submit), batches coming back from the shards (turn).
// Out: batches to the shards' mailboxes, outcomes to the sessions.
// Invariants: a batch is open, sealed, away at a shard, or free, never two of these; a request is answered
// exactly once, when none of its rows is in a batch any more.
//
// This is where the journal will stand: batches pass through it between sealing and sending, and a request is
// then answered when the block of its last row is durable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "codec/decoder.hpp"
#include "net/intake.hpp"
#include "queue/batch.hpp"
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
  std::uint32_t batches_away_eager =
      4;  // with fewer at a shard, an open batch is sent at the turn's end, full or not
  std::uint32_t requests_max = 65'536;  // taken and not answered
  DecoderLimits decoder{};
};

class BatchingIntake final : public Intake, private RowSink {
 public:
  // `returns` is this reactor's own mailbox, where shards send batches back. All pointers outlive the intake.
  BatchingIntake(const BatchingOptions& options, std::vector<ShardPort> shards, Mailbox& returns,
                 const Clock& clock);
  ~BatchingIntake() override;

  [[nodiscard]] SubmitResult submit(const IntakeRequest& request) override;
  std::size_t turn(RequestListener& listener) override;
  [[nodiscard]] bool prepare_sleep() override;
  void finish_sleep() override;
  [[nodiscard]] int wake_fd() const override { return returns_.wake_fd(); }
  [[nodiscard]] std::size_t pending() const override { return requests_pending_; }
  [[nodiscard]] const IntakeStats& stats() const override { return stats_; }

 private:
  struct Request {
    RequestOutcome outcome;
    ConnectionId connection{};
    std::uint32_t generation = 0;
    std::uint32_t rows_pending = 0;
  };

  // A shard as this reactor works with it.
  struct Lane {
    ShardPort port;
    Mailbox::Sender sender;
    Batch* open = nullptr;       // rows are added here
    std::vector<Batch*> sealed;  // full, waiting for the end of the turn
    std::uint32_t away = 0;      // sent and not back
    std::uint64_t sent = 0;      // batches, ever: each one's number in the lane
    // Where this lane stood when the request in work began, to take its rows back.
    std::size_t sealed_before = 0;
    std::optional<BatchMark> open_mark;
  };

  std::byte* allocate_row(std::uint64_t device_hash, std::uint32_t tuple_bytes) override;
  [[nodiscard]] Batch* acquire_batch(std::uint32_t shard);
  void release_batch(Batch* batch);

  void begin_rows();
  void take_rows_back();
  [[nodiscard]] std::uint32_t acquire_request();
  void release_request(std::uint32_t slot);
  [[nodiscard]] SubmitResult too_large() const;
  void account_decoded(Request& request, const DecodeResult& decoded, bool rows_kept);

  std::size_t receive_returned();
  void settle_batch(Batch& batch);
  void settle_refused(Batch& batch);
  std::size_t deliver(RequestListener& listener);
  std::size_t send_batches();
  [[nodiscard]] bool look_at_shards();

  BatchingOptions options_;
  Mailbox& returns_;
  const Clock& clock_;
  Decoder decoder_;
  std::vector<Lane> lanes_;
  std::vector<std::unique_ptr<Batch>> batches_;  // all of them, made when first needed
  std::vector<Batch*> batches_free_;
  std::vector<Request> requests_;
  std::vector<std::uint32_t> requests_free_;
  std::vector<std::uint32_t> done_;  // slots whose outcome is known and not delivered
  std::vector<std::uint32_t> delivering_;
  std::size_t requests_pending_ = 0;
  std::uint32_t request_in_work_ = 0;
  std::size_t unavailable_shard_;      // lanes_.size() when all are available
  bool refused_for_capacity_ = false;  // busy or unavailable was answered; on_capacity is owed
  IntakeStats stats_;
};

}  // namespace wellhead
