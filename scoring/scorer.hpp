// Judges readings by what is known of their device, and writes score, anomaly flag and quality flags into
// their tuples.
//
// In:  the rows of one flush, as the sink sorted them. Out: the same rows with their computed columns filled
// in, and the devices whose baselines are to be saved with the flush.
//
// A flush may fail and its rows come again, in the same or another company. So what a flush teaches is kept
// apart until commit(), and forgotten by discard(); score() only writes over what it would write again.
//
// Memory: a device takes device_bytes() of its stream, its name and 32 bytes; a bound of devices, of which
// the least recently seen go first. Those are told with the states to save, so that nothing learned is lost.
//
// One per shard, used by its thread only. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/counter.hpp"
#include "codec/schema.hpp"
#include "codec/sorted_row.hpp"

namespace wellhead {

struct ScorerLimits {
  std::size_t devices_max = 250'000;  // of one shard, all streams together
  // Devices whose baselines are saved with one flush beside those that have to go: at least `saves_min`, and
  // one for so many rows.
  std::uint32_t saves_min = 8;
  std::uint32_t rows_per_save = 256;
};

// A device of a stream by the text that names it. Valid until the next call of the scorer that is not const,
// or as long as the rows it came from.
struct DeviceName {
  std::uint16_t stream;  // Schema::index()
  std::uint64_t hash;    // RowHeader::device_hash
  std::string_view text;
};

// A baseline as the database keeps it.
struct DeviceState {
  DeviceName device;
  std::span<const std::byte> bytes;  // begins with the format's version; see scoring/device_state.hpp
};

// By stream, written by the shard's thread, read by any.
struct StreamScores {
  Counter rows;
  Counter score_millionths;  // the sum, so that the mean is score_millionths / rows / 1e6
  Counter anomalous;
  Counter inconsistent;
  Counter stuck;
  Counter late;
  Counter repaired;
};

class Scorer {
 public:
  // REQUIRES schemas[i]->index() == i. `stats`, one a stream, outlives the scorer. Streams without a computed
  // column are passed over.
  Scorer(std::span<const SchemaPointer> schemas, ScorerLimits limits, std::span<StreamScores> stats);
  ~Scorer();
  Scorer(Scorer&& other) noexcept;
  Scorer& operator=(Scorer&& other) noexcept;

  // Whether rows of the stream have computed columns.
  [[nodiscard]] bool scores(std::uint16_t stream) const noexcept;

  // Begins a flush and forgets one that was neither committed nor discarded.
  void start();
  // The devices of `rows` that are not in memory, once each, added to `unknown`: their states are to be
  // looked for in the database and restored before score(). A device may be scored without. `rows`: of one
  // stream, all of one device together.
  void find_unknown(std::uint16_t stream, std::span<const SortedRow> rows,
                    std::vector<DeviceName>& unknown) const;
  // False when the bytes are of another format, or of a stream with other scored fields: the device then
  // starts anew.
  bool restore(const DeviceState& state);
  // Scores rows of one stream. REQUIRES all rows of one device together, in the order of time, newest first;
  // their tuples may be written to.
  void score(std::uint16_t stream, std::span<const SortedRow> rows);

  // What to save in the flush's transaction, in the order of (stream, device); valid until commit() or
  // discard(). Those that have to make room come whatever the limits say.
  [[nodiscard]] std::span<const DeviceState> states_to_save();
  // State `index` of those above could not be saved: its device stays unsaved, and comes last for the next
  // time, unless it has to leave.
  void not_saved(std::size_t index);
  // The flush is committed with the states above.
  void commit();
  // It is not.
  void discard();

  // For the end: how many devices have learned something that is not saved, and up to `count_max` of them;
  // commit() then marks them saved.
  [[nodiscard]] std::size_t unsaved() const noexcept;
  [[nodiscard]] std::span<const DeviceState> unsaved_states(std::size_t count_max);

  [[nodiscard]] std::size_t devices() const noexcept;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;
  // What one device of the stream takes, its name left out.
  [[nodiscard]] std::size_t device_bytes(std::uint16_t stream) const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wellhead
