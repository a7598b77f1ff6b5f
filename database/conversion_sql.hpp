// The statements of a conversion, as text. Nothing here talks to a server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "database/conversion_table.hpp"

namespace wellhead::conversion_sql {

// Rows go from the old table to the new one; on the way back the other way.
enum class Direction : std::uint8_t { forward, back };

[[nodiscard]] std::string list_of(const std::vector<std::string>& names, std::string_view prefix = "");
[[nodiscard]] std::string old_table(const ConversionTable& table);     // before the swap
[[nodiscard]] std::string before_table(const ConversionTable& table);  // the same after it
[[nodiscard]] std::string next_table(const ConversionTable& table);    // the new one before it
[[nodiscard]] std::string noted_table(const ConversionTable& table);
// The rows of the old table with the names and types of the new one, as something to select from.
[[nodiscard]] std::string as_new_rows(const ConversionTable& table);
// The beginning of the chunk in which `time` lies.
[[nodiscard]] std::string chunk_of(const ConversionTable& table, std::string_view time);

// From when on every change to the table `watched` leaves the row's locator in noted_table().
[[nodiscard]] std::string start_noting(const ConversionTable& table, std::string_view watched);
[[nodiscard]] std::string stop_noting(const ConversionTable& table, std::string_view watched);

[[nodiscard]] std::string add_kept_columns(const ConversionTable& table);
// What of them must have a value, for when the rows are there: a statement each.
[[nodiscard]] std::vector<std::string> require_kept_columns(const ConversionTable& table);
[[nodiscard]] std::string drop_kept_columns(const ConversionTable& table, std::string_view from);
// Lets the server's own jobs, compression above all, at the new table in `schema`, or keeps them from it.
[[nodiscard]] std::string run_jobs(const ConversionTable& table, std::string_view schema, bool run);
[[nodiscard]] std::string make_partitions(const ConversionTable& table);

// The key of the row so many after `position` in the key's order, up to `last`; no row where there are fewer.
[[nodiscard]] std::string batch_end(const ConversionTable& table, const std::vector<std::string>& position,
                                    const std::vector<std::string>& last, std::uint64_t rows);
[[nodiscard]] std::string copy_batch(const ConversionTable& table, const std::vector<std::string>& position,
                                     const std::vector<std::string>& until);

// Takes notes, at most so many, into the temporary table wellhead_taken, each locator once. Answers with how
// many notes it took, locators without a key (a TRUNCATE leaves one), the first time and the last.
[[nodiscard]] std::string take_noted(const ConversionTable& table, std::uint64_t most);
// The same for what differs between the two tables on these days.
[[nodiscard]] std::string take_differing(const ConversionTable& table, const std::vector<std::string>& days);
// Makes the rows at the taken locators the same in the target as they are in the source.
[[nodiscard]] std::string bring_over(const ConversionTable& table, Direction direction,
                                     std::string_view from_time, std::string_view until_time);

// Days on which the two tables differ, but for what is noted: day, rows of the old, rows of the new.
[[nodiscard]] std::string compare_days(const ConversionTable& table, std::string_view old_name,
                                       std::string_view new_name);

// Columns of the live table that are not what `table` says, or that the new one lacks, or that find rows and
// may be null: a name and what is wrong with it.
[[nodiscard]] std::string changed_columns(const ConversionTable& table);

// Relations that have a name which the swap gives to another: what it is, and its name.
[[nodiscard]] std::string taken_names(const ConversionTable& table);

[[nodiscard]] std::string swap(const ConversionTable& table);
[[nodiscard]] std::string swap_back(const ConversionTable& table);
[[nodiscard]] std::string finish(const ConversionTable& table, const std::vector<std::string>& dropped);

}  // namespace wellhead::conversion_sql
