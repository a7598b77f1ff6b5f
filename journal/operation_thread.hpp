// A thread that does a writer's operations, so that the reactor need not wait for the disk.
//
// The reactor's ring could do them too. But a synchronous direct write through a ring is finished by a worker
// of the kernel's, which flushes the disk's cache and must first get a processor; where all are busy that
// costs more than the disk does. A thread that sits in pwritev does all of it itself (bench/journal_bench).
//
// It may run on every CPU the process may use, however its owner is pinned: beside a reactor that is busy, on
// the one CPU of both, a write would only begin when the reactor sleeps.
//
// Thread: begin() and take_result() are the owner's. Steady state allocates nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"
#include "journal/journal.hpp"

namespace wellhead {

class OperationThread {
 public:
  // `name` is the thread's, as ps and top show it, of which the system takes 15 characters.
  explicit OperationThread(const std::string& name = "journal");
  // Waits for the operation that is on its way, for it reads and writes memory of others: on a disk that
  // hangs, for ever. Whoever must end then ends the process, which loses nothing that was acknowledged.
  ~OperationThread();
  OperationThread(const OperationThread&) = delete;
  OperationThread& operator=(const OperationThread&) = delete;

  // Starts an operation; what it refers to stays until it is done. REQUIRES none on its way.
  void begin(const JournalOperation& operation);
  // What JournalWriter::complete() wants, once, when the operation is done; until then nothing. Clears
  // done_fd().
  [[nodiscard]] std::optional<std::int64_t> take_result();
  // Readable when an operation is done: to be watched by the owner's ring. Never close it.
  [[nodiscard]] int done_fd() const noexcept { return done_.get(); }
  [[nodiscard]] bool busy() const noexcept { return busy_; }

 private:
  void serve(const std::string& name);

  // wanted_ hands operation_ over to the thread, done_flag_ hands result_ back. The thread ends at no
  // operation.
  std::optional<JournalOperation> operation_;
  std::int64_t result_ = 0;
  std::atomic<bool> wanted_flag_{false};
  std::atomic<bool> done_flag_{false};
  bool busy_ = false;  // the owner's
  UniqueFd wanted_;
  UniqueFd done_;
  std::thread thread_;
};

}  // namespace wellhead
