// Newline-delimited JSON over TCP on one connection.
//
// All complete lines of a receive buffer form one request of the intake (a chunk), parsed where they lie.
// What is left behind the last newline is carried: in front of the next buffer's bytes if it fits into the
// headroom there.
//
// Lines count from 1, blank ones included, so that a line number is that of the client's file. With
// acknowledgements each chunk's fate goes out in the order of its lines: first its rejects, then the number
// of its last line.
//
// The first line may name a producer (net/producer_greeting.hpp): then lines count from where the producer
// says it goes on, lines that are stored already are passed over, and nothing is taken until the lines of an
// earlier connection of the producer are settled.
//
// Backpressure: when the intake takes nothing, or as many chunks are on their way as may be, what has arrived
// waits and the socket is not read.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "net/producer_greeting.hpp"
#include "net/session.hpp"

namespace wellhead {

class NdjsonSession final : public Session {
 public:
  NdjsonSession(SessionContext& context, Link link, const Schema& stream, const ListenerOptions& listener);
  ~NdjsonSession() override;

  void on_bytes(ReceivedBytes bytes) override;
  void on_end_of_input() override;
  void on_sent() override;
  void on_outcome(const RequestOutcome& outcome) override;
  void on_capacity() override;
  void on_deadline() override;
  void on_stop() override;
  [[nodiscard]] bool in_progress() const override;

 private:
  // Lines whose fate is told together.
  struct Chunk {
    std::uint64_t cookie = 0;
    std::uint64_t last_line = 0;
    std::uint64_t first_line = 0;
    std::size_t bytes = 0;
    bool decided = false;
    std::int64_t taken_ns = 0;
    std::vector<std::uint32_t> blank_lines;  // offsets from first_line, ascending; mostly none
    std::string rejects;                     // their text, once decided
  };
  // Complete lines that lie one behind the other.
  struct Run {
    std::string_view bytes;
    std::uint32_t line_count = 0;
    bool blank = true;  // all of them
    std::vector<std::uint32_t> blank_lines;
  };
  enum class Progress : std::uint8_t { done, blocked, failed };
  // Who sends.
  struct Producer {
    Fingerprint name{};
    std::uint64_t claim = 0;        // 0: no producer
    bool settling = false;          // an earlier connection's lines are on their way
    std::uint64_t last_stored = 0;  // lines up to here are passed over
  };

  // Each takes what it can from the front of `bytes`. Blocked: the rest has to wait.
  [[nodiscard]] Progress process(ReceivedBytes& bytes);
  [[nodiscard]] Progress process_lines(ReceivedBytes& bytes);
  [[nodiscard]] Progress join_carry(ReceivedBytes& bytes);
  [[nodiscard]] Progress carry_rest(ReceivedBytes& bytes);
  [[nodiscard]] Progress submit_carry();
  void discard_line(ReceivedBytes& bytes);
  void process_waiting();

  [[nodiscard]] bool find_run(std::string_view bytes, Run& run) const;
  [[nodiscard]] std::uint32_t run_lines_limit() const noexcept;
  [[nodiscard]] Progress submit(const Run& run);
  [[nodiscard]] Progress greet(const ProducerGreeting& greeting);
  [[nodiscard]] Progress pass_over(const Run& run);
  [[nodiscard]] Progress end_with(std::string_view code, std::string_view message);
  [[nodiscard]] Progress take(const Run& run, std::uint64_t cookie, bool decided);
  [[nodiscard]] bool room_for_chunk() const noexcept;
  void reject_run(const Run& run, const SubmitResult& result);
  void note_long_line(std::string_view piece);
  void reject_long_line();
  void tell_long_line();
  void append_rejects(Chunk& chunk, const RecordErrors& errors);
  void hold(Chunk& chunk);
  void tell_decided();

  void wait_behind(const ReceivedBytes& bytes);
  void fail_for_memory();
  void update_reading();
  void update_deadline();
  void finish_if_done();

  SessionContext& context_;
  Link link_;
  const Schema& stream_;
  const bool acknowledge_;
  const AckLevel ack_;
  bool input_ended_ = false;
  bool stopping_ = false;        // takes no more lines
  bool discarding_ = false;      // inside a line that is too long, up to its newline
  bool blocked_ = false;         // by the intake; on_capacity() comes
  bool carry_complete_ = false;  // carry_ is a whole line that could not be submitted yet
  bool paused_ = false;
  bool ended_ = false;
  bool at_first_line_ = true;  // which may be a greeting
  Producer producer_;
  std::uint64_t line_count_ = 0;       // of chunks, and those before a producer's first one here
  std::int64_t last_line_ns_;          // when one was last completed
  std::size_t chunk_bytes_ = 0;        // of chunks_
  std::size_t held_bytes_ = 0;         // rejects of chunks that wait for earlier ones
  BodyBuffer carry_;                   // the line that is not complete
  std::string long_line_;              // the beginning of a line that is too long,
  std::uint64_t long_line_bytes_ = 0;  // and how much of it has come
  BodyBuffer waiting_;                 // bytes behind what is blocked
  std::size_t waiting_offset_ = 0;
  std::deque<Chunk> chunks_;  // in the order of their lines
};

}  // namespace wellhead
