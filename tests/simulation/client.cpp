#include "tests/simulation/client.hpp"

namespace wellhead::simulation {
namespace {

constexpr std::uint64_t devices = 7;
// Of the records that may be so.
constexpr double malformed_share = 0.03;
constexpr double refused_share = 0.04;

}  // namespace

// The first one becomes a row: a request of which nothing is stored is not remembered, and its dead letters
// may be kept twice.
std::vector<std::int64_t> Client::new_records(std::uint64_t count, bool malformed_ones) {
  std::vector<std::int64_t> ids;
  for (std::uint64_t record = 0; record < count; ++record) {
    RecordKind kind = RecordKind::good;
    if (use_.dice.chance(refused_share)) kind = RecordKind::refused;
    if (malformed_ones && record > 0 && use_.dice.chance(malformed_share)) kind = RecordKind::malformed;
    ids.push_back(use_.account.add(kind));
  }
  return ids;
}

std::string Client::body_of(std::span<const std::int64_t> ids) const {
  const std::string time = std::to_string(use_.clock.wall_us() + postgres_epoch_unix_us);
  std::string body = "[";
  for (const std::int64_t id : ids) {
    if (body.size() > 1) body += ',';
    body += "{\"timestamp\":" + time;
    if (use_.account.kind_of(id) != RecordKind::malformed)
      body += ",\"device_id\":\"d" + std::to_string(static_cast<std::uint64_t>(id) % devices) + "\"";
    body += ",\"id\":" + std::to_string(id) + "}";
  }
  return body + "]";
}

bool Client::numbers_fit(std::span<const std::int64_t> ids, AckLevel ack,
                         const RequestOutcome& outcome) const {
  const bool refused_told = ack == AckLevel::commit && !outcome.replayed;
  const std::uint32_t refused = use_.account.count(ids, RecordKind::refused);
  const std::uint32_t rejected =
      use_.account.count(ids, RecordKind::malformed) + (refused_told ? refused : 0U);
  return outcome.received == ids.size() && outcome.rejected == rejected && outcome.duplicate == 0 &&
         outcome.accepted == ids.size() - rejected;
}

void Client::acknowledge(std::span<const std::int64_t> ids) {
  for (const std::int64_t id : ids)
    use_.tally.records_acknowledged += use_.account.fate_of(id) == Fate::acknowledged ? 0U : 1U;
  use_.account.set(ids, Fate::acknowledged);
}

}  // namespace wellhead::simulation
