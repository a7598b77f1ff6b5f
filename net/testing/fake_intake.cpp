#include "net/testing/fake_intake.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.hpp"

namespace wellhead::testing {
namespace {

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

RequestOutcome judge(const IntakeRequest& request) {
  RequestOutcome outcome;
  outcome.cookie = request.cookie;
  std::string_view rest = request.body;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (is_blank(line)) continue;
    const std::uint32_t index = outcome.received++;
    if (line.find("bad") == std::string_view::npos)
      ++outcome.accepted;
    else
      outcome.errors.add(index, RecordErrorCode::wrong_type, "pressure", "it is bad");
  }
  outcome.rejected = outcome.errors.count();
  if (request.all_or_nothing && outcome.rejected > 0) {
    outcome.rejected = outcome.received;
    outcome.accepted = 0;
  }
  return outcome;
}

// Reads what the contract says is readable, so that the address sanitizer checks it.
void touch_padding(std::string_view body) {
  volatile char last = 0;
  for (std::size_t offset = 0; offset < input_padding_bytes; ++offset)
    last = body.data()[body.size() + offset];
  (void)last;
}

}  // namespace

IntakeScript::IntakeScript() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void IntakeScript::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_.get(), &one, sizeof one);
}

void IntakeScript::answer(Submission submission) {
  const std::scoped_lock lock(mutex_);
  submission_ = submission;
  capacity_owed_ = submission == Submission::taken;
  wake();
}

void IntakeScript::hold_outcomes() {
  const std::scoped_lock lock(mutex_);
  held_ = true;
}

void IntakeScript::release_outcomes() {
  const std::scoped_lock lock(mutex_);
  held_ = false;
  wake();
}

void IntakeScript::release_outcomes_backwards() {
  const std::scoped_lock lock(mutex_);
  backwards_ = true;
  held_ = false;
  wake();
}

void IntakeScript::abandon_outcomes() {
  const std::scoped_lock lock(mutex_);
  abandon_ = true;
  held_ = false;
  wake();
}

std::vector<std::string> IntakeScript::bodies() const {
  const std::scoped_lock lock(mutex_);
  return bodies_;
}

std::vector<AckLevel> IntakeScript::acks() const {
  const std::scoped_lock lock(mutex_);
  return acks_;
}

std::vector<bool> IntakeScript::dead_letters() const {
  const std::scoped_lock lock(mutex_);
  return dead_letters_;
}

std::vector<std::string> IntakeScript::sources() const {
  const std::scoped_lock lock(mutex_);
  return sources_;
}

void IntakeScript::keep_too_large() {
  const std::scoped_lock lock(mutex_);
  keeps_too_large_ = true;
}

std::vector<IntakeScript::TooLarge> IntakeScript::too_large() const {
  const std::scoped_lock lock(mutex_);
  return too_large_;
}

std::string IntakeScript::all_bodies() const {
  std::string all;
  for (const std::string& body : bodies()) all += body;
  return all;
}

SubmitResult FakeIntake::submit(const IntakeRequest& request) {
  touch_padding(request.body);
  const std::scoped_lock lock(script_.mutex_);
  if (script_.submission_ == Submission::unavailable)
    return {Submission::unavailable, {}, "The database is away."};
  if (script_.submission_ != Submission::taken) return {.submission = script_.submission_, .message = {}};
  if (request.body.find("malformed") != std::string_view::npos)
    return {Submission::malformed, RecordErrorCode::malformed_json, "This is not JSON."};
  script_.bodies_.emplace_back(request.body);
  script_.acks_.push_back(request.ack);
  script_.dead_letters_.push_back(request.dead_letters);
  script_.sources_.push_back(describe_source_ ? describe_source_(request.connection) : "");
  script_.submitted_.fetch_add(1);
  taken_.push_back({.connection = request.connection, .outcome = judge(request)});
  stats_.records_received.add(taken_.back().outcome.received);
  return {.submission = Submission::taken, .message = {}};
}

SubmitResult FakeIntake::reject_too_large(const IntakeRequest& request, std::uint64_t record_bytes) {
  const std::scoped_lock lock(script_.mutex_);
  if (!script_.keeps_too_large_) return {.submission = Submission::busy, .message = {}};
  script_.too_large_.push_back({std::string(request.body), record_bytes});
  RequestOutcome outcome;
  outcome.cookie = request.cookie;
  outcome.received = outcome.rejected = 1;
  outcome.errors.add(0, RecordErrorCode::record_too_large, {}, "it is too large");
  taken_.push_back({.connection = request.connection, .outcome = std::move(outcome)});
  return {.submission = Submission::taken, .message = {}};
}

std::size_t FakeIntake::turn(RequestListener& listener) {
  std::deque<Taken> ready;
  bool capacity = false;
  {
    const std::scoped_lock lock(script_.mutex_);
    capacity = std::exchange(script_.capacity_owed_, false);
    if (!script_.held_) ready.swap(taken_);
    if (script_.backwards_) std::ranges::reverse(ready);
    for (Taken& taken : ready) taken.outcome.abandoned = script_.abandon_;
  }
  for (const Taken& taken : ready) {
    listener.on_request_done(taken.connection, taken.outcome);
    script_.delivered_.fetch_add(1);
  }
  if (capacity) listener.on_capacity();
  return ready.size() + (capacity ? 1 : 0);
}

bool FakeIntake::prepare_sleep() {
  const std::scoped_lock lock(script_.mutex_);
  return !script_.capacity_owed_ && (script_.held_ || taken_.empty());
}

void FakeIntake::finish_sleep() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(script_.wake_fd_.get(), &count, sizeof count);
}

}  // namespace wellhead::testing
