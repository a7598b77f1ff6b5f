// A node for tests of what is shown of one.
#pragma once

#include "engine/node_view.hpp"

namespace wellhead {

struct FakeNode final : NodeView {
  std::vector<ReactorReading> reactor_readings;
  std::vector<ShardReading> shard_readings;
  std::optional<JournalReading> journal_reading;
  const ReloadStats* reload_stats = nullptr;
  std::vector<AttributesReading> attributes_readings;
  std::vector<std::string> names_of_streams;
  std::vector<QualityReading> quality_readings;
  bool is_started = true;
  bool is_stopping = false;

  [[nodiscard]] std::vector<ReactorReading> reactors() const override { return reactor_readings; }
  [[nodiscard]] std::vector<ShardReading> shards() const override { return shard_readings; }
  [[nodiscard]] std::optional<JournalReading> journal() const override { return journal_reading; }
  [[nodiscard]] const ReloadStats* reloads() const override { return reload_stats; }
  [[nodiscard]] std::vector<AttributesReading> attributes() const override { return attributes_readings; }
  [[nodiscard]] std::vector<std::string> stream_names() const override { return names_of_streams; }
  [[nodiscard]] std::vector<QualityReading> quality() const override { return quality_readings; }
  [[nodiscard]] bool started() const override { return is_started; }
  [[nodiscard]] bool stopping() const override { return is_stopping; }
};

}  // namespace wellhead
