// A database of its own for one test, in the server that the environment names.
#pragma once

#include <string>
#include <string_view>

namespace wellhead {

// Creates the database, with TimescaleDB where the server has it, and drops it in the end. Just before
// midnight UTC it waits until that is over. Errors are thrown as std::runtime_error: a test cannot go on
// without its database.
class TestDatabase {
 public:
  // A superuser's URL of a server's maintenance database.
  static constexpr const char* url_variable = "WELLHEAD_TEST_DATABASE_URL";
  // False where the variable is not set: the test is to be skipped, by WELLHEAD_SKIP_WITHOUT_DATABASE().
  [[nodiscard]] static bool available();

  TestDatabase();
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  // Keywords for libpq, without TLS so that a proxy can read along.
  [[nodiscard]] std::string connection() const;
  // The same through another port of this host.
  [[nodiscard]] std::string connection_through(unsigned port) const;
  // Makes a role that may log in, with the superuser's own password.
  void create_role(std::string_view role);
  // The same as a role made by create_role().
  [[nodiscard]] std::string connection_as(std::string_view role) const;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& host() const noexcept { return host_; }
  [[nodiscard]] unsigned port() const noexcept { return port_; }

  void execute(const std::string& sql);
  // The first field of the first row, empty for null.
  [[nodiscard]] std::string value(const std::string& sql);
  // "plain", "apache" or "community", as the first lines of migrations name it.
  [[nodiscard]] std::string edition();
  // Takes TimescaleDB out of this database.
  void make_plain();
  // Applies migrations/*.sql that are for this edition, but the optional ones.
  void create_shipped_tables();

 private:
  [[nodiscard]] std::string keywords(std::string_view database, std::string_view user, unsigned port) const;
  std::string run(std::string_view database, const std::string& sql);

  std::string name_;
  std::string maintenance_database_;
  std::string host_;
  std::string user_;
  std::string password_;
  unsigned port_ = 5432;
};

}  // namespace wellhead

#define WELLHEAD_SKIP_WITHOUT_DATABASE()                                                \
  if (!::wellhead::TestDatabase::available())                                           \
  GTEST_SKIP() << "needs a TimescaleDB: set " << ::wellhead::TestDatabase::url_variable \
               << " to a superuser's URL"
