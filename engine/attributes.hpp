// The attributes of a running node: which table each stream has in force, and the thread that asks for those
// which come from a query again.
//
// A table from a file is read by whoever adopts it, at the start and on HUP, so that its mistakes are told
// before anything is changed. A query may fail at any time: then the table in force stays, at the start the
// one that was saved last, and the query is tried again every few seconds.
//
// What is no longer in force is kept until no other thread holds it and freed here: a table of a million
// devices is not freed by a reactor.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "codec/stream_rules.hpp"
#include "engine/attributes_csv.hpp"
#include "engine/attributes_query.hpp"
#include "engine/config.hpp"
#include "journal/file_system.hpp"
#include "sink/database.hpp"

namespace wellhead {

// By position in LoadedConfig::schemas; null where the stream has no file.
using AttributesTables = std::vector<AttributesTable>;
// Reads the files of all streams.
[[nodiscard]] std::expected<AttributesTables, ConfigErrors> read_attributes_files(const LoadedConfig& loaded);

// Of a stream that has attributes, for /metrics.
struct AttributesReading {
  std::string stream;
  std::size_t devices;
  std::size_t memory_bytes;
  std::uint64_t failures;      // of its query
  std::int64_t loaded_unix_s;  // 0: only what was saved, or nothing yet
};

class AttributeKeeper {
 public:
  using Connect = std::function<std::unique_ptr<Database>()>;

  // `connect` makes a connection that is not connected yet. `files` is where tables are saved, null: nowhere;
  // it outlives the keeper.
  AttributeKeeper(Connect connect, FileSystem* files) : connect_(std::move(connect)), files_(files) {}
  ~AttributeKeeper() { stop(); }

  // What is to be in force of a stream.
  struct Adoption {
    SchemaPointer stream = {};  // as everybody knows it
    SchemaPointer rules = {};  // the same stream, by the configuration to be in force; null: the stream's own
    AttributesTable table = {};  // of its file; null: it has none
  };
  // Puts the rules of all streams into force, and asks for the tables of queries at once. One thread.
  void adopt(std::vector<Adoption> streams);

  // Refreshes, until stop(). After the first adopt().
  void start();
  void stop();

  [[nodiscard]] std::vector<AttributesReading> read() const;  // any thread

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Entry {
    SchemaPointer stream = {};
    SchemaPointer rules = {};  // never null
    AttributesTable table = {};
    Time due = {};             // queries: when to ask again
    std::string problem = {};  // told last
    std::uint64_t failures = 0;
    std::int64_t loaded_unix_s = 0;

    [[nodiscard]] const StreamConfig& config() const noexcept { return rules->config(); }
    [[nodiscard]] bool asks() const noexcept { return !config().attributes.query.empty(); }
  };

  [[nodiscard]] Entry* find(const Schema& stream) noexcept;
  [[nodiscard]] AttributesTable table_for(const Adoption& adoption, const StreamConfig& config);
  void publish(Entry& entry);
  void run(const std::stop_token& stopping);
  [[nodiscard]] Entry* next_due();
  [[nodiscard]] Time next_wake();
  void free_retired(std::unique_lock<std::mutex>& lock);
  void refresh(Entry& entry, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] std::expected<QueriedAttributes, std::string> ask(const StreamConfig& config);
  void take(Entry& entry, AttributesTable table);
  void fail(Entry& entry, const std::string& problem);
  void save(const StreamConfig& config, std::string csv);

  const Connect connect_;
  FileSystem* const files_;
  std::atomic<bool> stopping_{false};

  mutable std::mutex mutex_;  // over all below
  std::condition_variable_any changed_;
  std::vector<Entry> entries_;
  std::vector<std::shared_ptr<const void>> retired_;  // rules and tables
  std::uint64_t adoptions_ = 0;
  std::jthread thread_;
};

}  // namespace wellhead
