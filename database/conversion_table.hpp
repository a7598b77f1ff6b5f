// What a table was before wellhead and what the migrations make of it: column by column, and what stands in
// the way of making the one the other.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "sink/database.hpp"

namespace wellhead {

struct ConversionColumn {
  std::string name;
  std::string old_type;            // empty where the old table has no such column
  std::string new_type;            // of a kept column the old one
  bool kept = false;               // no migration makes it: it is carried along
  bool required = false;           // NOT NULL in the new table
  bool nullable_before = true;     // in the old one
  std::string default_expression;  // the old one's, where the new table has none; empty: none
  bool generated = false;          // in the old one: nobody but the server writes it
};

struct ConversionCheck {
  std::string name;
  std::string expression;  // over the new table's columns
};

struct ConversionTable {
  std::string name;
  std::string schema;            // where it lives
  std::string time_column;       // the partition key
  std::string device_column;     // leads the index by which rows are found; empty: none that both have
  std::string arrival_column;    // stays null where the old table has none: nobody knows when its rows came
  std::string chunk_interval;    // as the database prints it
  std::vector<std::string> key;  // of the old table's primary key
  std::vector<ConversionColumn> columns;
  std::vector<ConversionCheck> checks;
  std::vector<std::vector<std::string>> unique_keys;  // of the new table, beyond what the old key makes sure
  std::vector<std::string> left_behind;               // what of the old table the new one does not get
  std::vector<std::string> brought_names;  // of indexes and partitions, which come with the new table
  // The sequence behind a column of the old table.
  struct Sequence {
    std::string column;
    std::string name;  // qualified and quoted
    bool identity = false;
  };
  std::vector<Sequence> sequences;
  bool partitioned = false;  // by PostgreSQL's own means, not TimescaleDB's

  // What tells a row from all others, and finds it fast: key, device, time; each once.
  [[nodiscard]] std::vector<std::string> locator() const;
};

// Of the new table as it lies in the schema `definitions`, with wellhead_lifecycle there; of the old one as
// `schema`.`old_name`. The error is sentences, each with the fix. REQUIRES a connected database. Changes
// nothing.
[[nodiscard]] std::expected<ConversionTable, std::string> read_conversion_table(Database& database,
                                                                                std::string_view name,
                                                                                std::string_view schema,
                                                                                std::string_view old_name,
                                                                                std::string_view definitions);

struct ConversionSize {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // with indexes
  std::uint64_t chunks = 0;
  std::string first, last;  // times, as the database prints them
};
// Reads the whole table: its size, and whether each of its rows fits. The error is sentences.
[[nodiscard]] std::expected<ConversionSize, std::string> measure_conversion(Database& database,
                                                                            const ConversionTable& table);

// `name` as an identifier of SQL.
[[nodiscard]] std::string sql_identifier(std::string_view name);

}  // namespace wellhead
