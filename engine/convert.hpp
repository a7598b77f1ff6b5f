// `wellhead migrate convert`: what one call of it does, without the command line.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "database/conversion.hpp"
#include "engine/migrate.hpp"

namespace wellhead {

// What a conversion would do, for an operator to agree to.
struct ConversionPlan {
  ConversionTable table;
  ConversionSize size;
  ConversionStatus status;
};
[[nodiscard]] std::string print_plan(const ConversionPlan& plan, const ConversionOptions& options);
[[nodiscard]] std::string print_status(const ConversionStatus& status);
[[nodiscard]] std::string print_status_json(const ConversionStatus& status);

class Converter {
 public:
  using Outcome = std::expected<void, std::string>;  // the errors are sentences

  // `tell` takes sentences for the operator, as things happen. The others outlive it; `database` is
  // connected.
  Converter(Database& database, Migrator& migrator, std::string table, ConversionOptions options,
            std::function<void(std::string_view)> tell);

  // Looks whether the table can be converted, and what it takes. Changes nothing.
  [[nodiscard]] std::expected<ConversionPlan, std::string> plan();
  [[nodiscard]] std::expected<ConversionStatus, std::string> status();
  // Applies the migrations that are missing, with the new table beside the old one, and converts; or goes on
  // where an earlier call stopped.
  [[nodiscard]] Outcome run();
  [[nodiscard]] Outcome roll_back(bool discard);
  [[nodiscard]] Outcome finish();

 private:
  [[nodiscard]] Outcome lock();
  [[nodiscard]] std::expected<ConversionTable, std::string> read(const std::string& old_name);
  // The table as it is to be converted. An error also where that would fail at its end.
  [[nodiscard]] std::expected<ConversionTable, std::string> read_to_convert();
  [[nodiscard]] Outcome check_server();
  [[nodiscard]] Outcome check_dropped(const ConversionTable& table) const;
  [[nodiscard]] Outcome check_names(const ConversionTable& table);
  // With the lock, on a conversion that stands where `old_name` is right.
  [[nodiscard]] std::expected<Conversion, std::string> resume(const std::string& old_name);
  [[nodiscard]] Outcome start();

  Database& database_;
  Migrator& migrator_;
  std::string table_;
  ConversionOptions options_;
  std::function<void(std::string_view)> tell_;
};

}  // namespace wellhead
