#include "journal/operation_thread.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <tuple>

#include "base/assert.hpp"

namespace wellhead {
namespace {

constexpr std::size_t name_bytes_max = 15;  // TASK_COMM_LEN of Linux (linux/sched.h), without its zero

std::int64_t run(const JournalOperation& operation) {
  if (operation.kind == JournalOperation::Kind::synchronize) {
    const auto synchronized = operation.file->synchronize();
    return synchronized ? 0 : -synchronized.error();
  }
  const auto written = operation.file->write(operation.pieces, operation.offset);
  return written ? static_cast<std::int64_t>(*written) : -written.error();
}

void signal(const UniqueFd& event) {
  const std::uint64_t one = 1;
  WELLHEAD_ASSERT(::write(event.get(), &one, sizeof one) == sizeof one);
}

void await(const UniqueFd& event) {
  std::uint64_t count = 0;
  ssize_t bytes = 0;
  do bytes = ::read(event.get(), &count, sizeof count);
  while (bytes < 0 && errno == EINTR);
  WELLHEAD_ASSERT(bytes == sizeof count);
}

// The main thread is never pinned, so its CPUs are the process's. Where they cannot be told, the thread stays
// where it is, which is slower and no more.
void use_all_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (::sched_getaffinity(::getpid(), sizeof cpus, &cpus) == 0)
    std::ignore = ::pthread_setaffinity_np(::pthread_self(), sizeof cpus, &cpus);
}

}  // namespace

OperationThread::OperationThread(const std::string& name)
    : wanted_(::eventfd(0, EFD_CLOEXEC)),
      done_(::eventfd(0, EFD_CLOEXEC)),
      thread_([this, name] { serve(name); }) {
  WELLHEAD_ASSERT(wanted_ && done_);
}

OperationThread::~OperationThread() {
  if (busy_) await(done_);
  operation_.reset();
  wanted_flag_.store(true, std::memory_order_release);
  signal(wanted_);
  thread_.join();
}

void OperationThread::begin(const JournalOperation& operation) {
  WELLHEAD_ASSERT(!busy_);
  busy_ = true;
  operation_ = operation;
  wanted_flag_.store(true, std::memory_order_release);
  signal(wanted_);
}

std::optional<std::int64_t> OperationThread::take_result() {
  if (!busy_ || !done_flag_.load(std::memory_order_acquire)) return std::nullopt;
  await(done_);  // does not wait: it was, or is just being, signalled
  done_flag_.store(false, std::memory_order_relaxed);
  busy_ = false;
  return result_;
}

void OperationThread::serve(const std::string& name) {
  ::pthread_setname_np(::pthread_self(), name.substr(0, name_bytes_max).c_str());
  use_all_cpus();
  while (true) {
    await(wanted_);
    WELLHEAD_ASSERT(wanted_flag_.exchange(false, std::memory_order_acquire));
    if (!operation_) return;
    result_ = run(*operation_);
    done_flag_.store(true, std::memory_order_release);
    signal(done_);
  }
}

}  // namespace wellhead
