// The table that keeps what scoring knows of each device, and the statements on it. No I/O of its own.
//
// Baselines go with their flush: the statement that saves them is part of the transaction that stores the
// rows they were learned from.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scoring/scorer.hpp"
#include "sink/database.hpp"

namespace wellhead {

// Made by the migrations.
inline constexpr std::string_view baselines_table = "wellhead_device_baselines";

// Devices of one statement, so that none grows without bound.
inline constexpr std::size_t baselines_per_lookup = 10'000;
inline constexpr std::size_t baselines_per_save = 500;
// A device with a longer name has no baseline in the database: an index could not hold it.
inline constexpr std::size_t baseline_device_bytes_max = 1'024;

class BaselineTable {
 public:
  // Looks for devices of one stream: rows for read(). REQUIRES at most baselines_per_lookup of them, not
  // none.
  [[nodiscard]] static std::string select_statement(std::string_view stream,
                                                    std::span<const DeviceName> devices);
  // What a row of it says; none where it is not the node's hexadecimal digits.
  struct Found {
    std::size_t device;  // index among the devices asked for
    std::vector<std::byte> state;
  };
  [[nodiscard]] static std::optional<Found> read(const DatabaseRow& row);

  // Saves states of devices, those of stream i under the name streams[i]; states of streams behind the last
  // name are passed over. Sorted, so that two nodes that save the same devices wait for one another and
  // cannot deadlock.
  [[nodiscard]] static std::vector<std::string> save_statements(std::span<const std::string_view> streams,
                                                                std::span<const DeviceState> states);
};

}  // namespace wellhead
