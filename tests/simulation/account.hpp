// The account of a run: each record that was ever sent, what its sender was told, and whether the database's
// tables agree.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/schema.hpp"
#include "sink/simulated_server.hpp"

namespace wellhead::simulation {

// What is wrong with a run.
enum class Finding : std::uint8_t {
  lost,            // acknowledged, and not in its table
  stored_again,    // more than once in its table
  stored_refused,  // in its table, although its sender was told that it is not
  foreign,         // in a table, and nobody sent it
  wrong_answer,    // the tables are right, and a client was told something that is not
  stuck,           // no rest after everything was mended, or no start
};
struct Trouble {
  Finding finding;
  std::string sentence;
};

enum class RecordKind : std::uint8_t {
  good,
  malformed,  // the decoder rejects it
  refused,    // it becomes a row, and the database refuses that
};
enum class Fate : std::uint8_t {
  unknown,       // sent, or not even that; its sender has no answer
  acknowledged,  // its request was answered with success
  refused,       // nothing of its request is or will be stored
};

// The streams of the simulation: readings, with a time, a device and the id of the record; and dead letters.
[[nodiscard]] std::vector<SchemaPointer> simulated_streams();

class Account {
 public:
  explicit Account(std::vector<SchemaPointer> streams);

  // The id of a new record; its fate is unknown.
  [[nodiscard]] std::int64_t add(RecordKind kind);
  [[nodiscard]] RecordKind kind_of(std::int64_t id) const { return records_.at(id).kind; }
  [[nodiscard]] Fate fate_of(std::int64_t id) const { return records_.at(id).fate; }
  void set(std::span<const std::int64_t> ids, Fate fate);
  [[nodiscard]] std::uint32_t count(std::span<const std::int64_t> ids, RecordKind kind) const;

  // Whether the simulated server refuses a row of a table.
  [[nodiscard]] bool refuses(const std::string& table, const std::string& tuple) const;
  // The first record whose rows are not what its sender was told.
  [[nodiscard]] std::optional<Trouble> check(const test::ServerState& server) const;
  // Rows the database refused, by their dead letters.
  [[nodiscard]] std::uint64_t quarantined(const test::ServerState& server) const;

 private:
  struct Record {
    RecordKind kind;
    Fate fate = Fate::unknown;
  };
  // How often a record is in the tables.
  struct Copies {
    std::uint64_t rows = 0;
    std::uint64_t letters = 0;
  };
  [[nodiscard]] std::map<std::int64_t, Copies> copies(const test::ServerState& server) const;
  [[nodiscard]] static std::optional<Trouble> check(std::int64_t id, const Record& record,
                                                    const Copies& copies);

  const std::vector<SchemaPointer> streams_;
  std::size_t letter_payload_;  // columns of the dead letter
  std::size_t letter_code_;
  std::map<std::int64_t, Record> records_;
};

}  // namespace wellhead::simulation
