#include "engine/attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.hpp"

namespace wellhead {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds retry_after{5};
constexpr std::chrono::seconds retired_after{1};  // how often is looked whether old rules can be freed

std::int64_t unix_s_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool held_elsewhere(const std::shared_ptr<const void>& retired) noexcept {
  return retired.use_count() > 1;
}

}  // namespace

std::expected<AttributesTables, ConfigErrors> read_attributes_files(const LoadedConfig& loaded) {
  AttributesTables tables(loaded.schemas.size());
  ConfigErrors errors;
  for (std::size_t index = 0; index < tables.size(); ++index) {
    const StreamConfig& config = loaded.schemas[index]->config();
    if (config.attributes.file.empty()) continue;
    auto table = read_attributes_file(config);
    if (table)
      tables[index] = std::move(*table);
    else
      std::ranges::move(table.error(), std::back_inserter(errors));
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return tables;
}

AttributeKeeper::Entry* AttributeKeeper::find(const Schema& stream) noexcept {
  const auto found =
      std::ranges::find(entries_, &stream, [](const Entry& entry) { return entry.stream.get(); });
  return found == entries_.end() ? nullptr : &*found;
}

// Of a query: what is in force where it still fits, else what was saved, else no device.
AttributesTable AttributeKeeper::table_for(const Adoption& adoption, const StreamConfig& config) {
  if (config.attributes.query.empty()) return adoption.table;
  {
    const std::lock_guard lock(mutex_);
    const Entry* const entry = find(*adoption.stream);
    if (entry != nullptr && entry->asks() && same_attribute_columns(entry->config(), config))
      return entry->table;
  }
  AttributesTable saved = files_ != nullptr ? saved_attributes(*files_, config) : nullptr;
  if (saved != nullptr)
    log::info("Until the database answers, the attributes of devices are those that were saved last",
              {{"stream", config.name}, {"devices", saved->devices()}});
  return saved != nullptr ? saved : std::make_shared<const DeviceAttributes>();
}

void AttributeKeeper::adopt(std::vector<Adoption> streams) {
  std::vector<AttributesTable> tables;
  for (Adoption& adoption : streams) {
    if (adoption.rules == nullptr) adoption.rules = adoption.stream;
    tables.push_back(table_for(adoption, adoption.rules->config()));
  }
  const std::lock_guard lock(mutex_);
  for (std::size_t index = 0; index < streams.size(); ++index) {
    Entry* entry = find(*streams[index].stream);
    if (entry == nullptr) entry = &entries_.emplace_back(Entry{.stream = streams[index].stream});
    entry->rules = std::move(streams[index].rules);
    entry->table = std::move(tables[index]);
    entry->due = steady_clock::now();
    if (!entry->asks() && entry->table != nullptr) entry->loaded_unix_s = unix_s_now();
    publish(*entry);
  }
  ++adoptions_;
  changed_.notify_all();
}

// REQUIRES the mutex.
void AttributeKeeper::publish(Entry& entry) {
  StreamRules rules{entry.rules == entry.stream ? nullptr : entry.rules, entry.table};
  StreamRules old = entry.stream->rules().set(std::move(rules));
  if (old.schema != nullptr && old.schema != entry.rules) retired_.push_back(std::move(old.schema));
  if (old.attributes != nullptr && old.attributes != entry.table)
    retired_.push_back(std::move(old.attributes));
}

void AttributeKeeper::start() {
  thread_ = std::jthread([this](const std::stop_token& stopping) { run(stopping); });
}

void AttributeKeeper::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  thread_.request_stop();
  thread_.join();
}

void AttributeKeeper::run(const std::stop_token& stopping) {
  std::unique_lock lock(mutex_);
  while (!stopping.stop_requested()) {
    free_retired(lock);
    if (Entry* const entry = next_due(); entry != nullptr) {
      refresh(*entry, lock);
      continue;
    }
    const std::uint64_t seen = adoptions_;
    changed_.wait_until(lock, stopping, next_wake(), [&] { return adoptions_ != seen; });
  }
}

AttributeKeeper::Entry* AttributeKeeper::next_due() {
  const Time now = steady_clock::now();
  const auto due =
      std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.asks() && entry.due <= now; });
  return due == entries_.end() ? nullptr : &*due;
}

AttributeKeeper::Time AttributeKeeper::next_wake() {
  const Time now = steady_clock::now();
  Time wake = now + (retired_.empty() ? std::chrono::hours(1) : retired_after);
  for (const Entry& entry : entries_) {
    if (entry.asks()) wake = std::min(wake, entry.due);
  }
  return wake;
}

// Nobody takes what is not in force any more: once only this list holds it, that stays so.
void AttributeKeeper::free_retired(std::unique_lock<std::mutex>& lock) {
  const auto freed = std::ranges::partition(retired_, held_elsewhere);
  std::vector<std::shared_ptr<const void>> garbage(std::make_move_iterator(freed.begin()),
                                                   std::make_move_iterator(freed.end()));
  retired_.erase(freed.begin(), freed.end());
  lock.unlock();
  garbage.clear();
  lock.lock();
}

void AttributeKeeper::refresh(Entry& entry, std::unique_lock<std::mutex>& lock) {
  const SchemaPointer rules = entry.rules;
  const std::uint64_t adoption = adoptions_;
  const std::size_t position = static_cast<std::size_t>(&entry - entries_.data());
  lock.unlock();
  auto asked = ask(rules->config());
  lock.lock();
  // Other rules have come into force meanwhile: the query is asked again, for what they want of it.
  if (adoption != adoptions_ || stopping_.load()) return;
  Entry& asking = entries_[position];
  if (!asked) return fail(asking, asked.error());
  take(asking, std::move(asked->table));
  lock.unlock();
  save(rules->config(), std::move(asked->csv));
  lock.lock();
}

std::expected<QueriedAttributes, std::string> AttributeKeeper::ask(const StreamConfig& config) {
  const std::unique_ptr<Database> database = connect_();
  database->interrupt_with(&stopping_);
  if (const auto connected = database->connect(); !connected)
    return std::unexpected(connected.error().message);
  return query_attributes(*database, config);
}

void AttributeKeeper::take(Entry& entry, AttributesTable table) {
  const bool is_news =
      entry.loaded_unix_s == 0 || !entry.problem.empty() || entry.table->devices() != table->devices();
  entry.table = std::move(table);
  entry.problem.clear();
  entry.loaded_unix_s = unix_s_now();
  entry.due = steady_clock::now() + std::chrono::seconds(entry.config().attributes.refresh_s);
  publish(entry);
  if (is_news)
    log::info("The database told the attributes of devices", {{"stream", entry.stream->name()},
                                                              {"devices", entry.table->devices()},
                                                              {"bytes", entry.table->memory_bytes()}});
}

// Once, not at each attempt: the sentence is the same until an operator acts.
void AttributeKeeper::fail(Entry& entry, const std::string& problem) {
  ++entry.failures;
  entry.due = steady_clock::now() + retry_after;
  if (problem == entry.problem) return;
  entry.problem = problem;
  log::warning(
      "The attributes of devices could not be asked for: those in force stay, devices that are not among "
      "them are "
      "flagged unknown_device, and the query is tried again",
      {{"stream", entry.stream->name()}, {"problem", problem}, {"devices", entry.table->devices()}});
}

void AttributeKeeper::save(const StreamConfig& config, std::string csv) {
  if (files_ == nullptr) return;
  if (const auto saved = save_attributes(*files_, config, std::move(csv)); !saved)
    log::warning(
        "The attributes of devices could not be saved: they are in force, but a start without the database "
        "would "
        "not have them",
        {{"stream", config.name}, {"problem", saved.error()}});
}

std::vector<AttributesReading> AttributeKeeper::read() const {
  const std::lock_guard lock(mutex_);
  std::vector<AttributesReading> readings;
  for (const Entry& entry : entries_) {
    if (entry.table == nullptr) continue;
    readings.push_back({entry.stream->name(), entry.table->devices(), entry.table->memory_bytes(),
                        entry.failures, entry.loaded_unix_s});
  }
  return readings;
}

}  // namespace wellhead
