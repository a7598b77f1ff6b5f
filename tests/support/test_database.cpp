#include "tests/support/test_database.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

namespace wellhead {
namespace {

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

std::string next_name() {
  static std::atomic<int> count{0};
  return "wellhead_test_" + std::to_string(getpid()) + "_" + std::to_string(count++);
}

// Tests count days from the server's midnight, in one statement after the other: between them no new day may
// begin.
void wait_past_midnight() {
  constexpr std::time_t seconds_per_day = 86'400;
  constexpr std::time_t seconds_of_a_test = 30;
  const std::time_t left = seconds_per_day - std::time(nullptr) % seconds_per_day;
  if (left >= seconds_of_a_test) return;
  std::cerr << "waiting " << left + 1 << " s until it is past midnight UTC\n";
  std::this_thread::sleep_for(std::chrono::seconds(left + 1));
}

std::string escaped(std::string_view value) {
  std::string text = "'";
  for (const char character : value) {
    if (character == '\'' || character == '\\') text += '\\';
    text += character;
  }
  return text + "'";
}

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string first_line(const std::string& sql) {
  return sql.substr(0, sql.find('\n'));
}

}  // namespace

bool TestDatabase::available() {
  return std::getenv(url_variable) != nullptr;
}

TestDatabase::TestDatabase() : name_(next_name()) {
  const char* url = std::getenv(url_variable);
  if (url == nullptr) throw std::runtime_error(std::string(url_variable) + " is not set");
  wait_past_midnight();
  const Connection probe(PQconnectdb(url), PQfinish);
  if (PQstatus(probe.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(probe.get()));
  maintenance_database_ = PQdb(probe.get());
  host_ = PQhost(probe.get());
  user_ = PQuser(probe.get());
  password_ = PQpass(probe.get());
  port_ = static_cast<unsigned>(std::stoul(PQport(probe.get())));
  // template1 may have a background worker of TimescaleDB's in it at this moment.
  run(maintenance_database_, "CREATE DATABASE " + name_ + " TEMPLATE template0 ENCODING 'UTF8'");
  // Its settings are there only where it is preloaded, without which creating it ends the connection.
  if (value("SELECT count(*) FROM pg_settings WHERE name = 'timescaledb.disable_load'") == "1")
    execute("SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS timescaledb");
}

TestDatabase::~TestDatabase() {
  try {
    run(maintenance_database_, "DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
  } catch (const std::exception& error) {
    std::cerr << "database " << name_ << " stays behind: " << error.what() << '\n';
  }
}

std::string TestDatabase::keywords(std::string_view database, std::string_view user, unsigned port) const {
  std::string text = "host=" + escaped(host_) + " port=" + std::to_string(port) +
                     " dbname=" + escaped(database) + " user=" + escaped(user) +
                     " sslmode=disable gssencmode=disable";
  if (!password_.empty()) text += " password=" + escaped(password_);
  return text;
}

std::string TestDatabase::connection() const {
  return keywords(name_, user_, port_);
}
std::string TestDatabase::connection_through(unsigned port) const {
  return keywords(name_, user_, port);
}
void TestDatabase::create_role(std::string_view role) {
  std::string statement = "CREATE ROLE \"" + std::string(role) + "\" LOGIN";
  if (!password_.empty()) statement += " PASSWORD " + escaped(password_);
  execute(statement);
}
std::string TestDatabase::connection_as(std::string_view role) const {
  return keywords(name_, role, port_);
}

std::string TestDatabase::run(std::string_view database, const std::string& sql) {
  const Connection connection(PQconnectdb(keywords(database, user_, port_).c_str()), PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
  const Result result(PQexec(connection.get(), sql.c_str()), PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    throw std::runtime_error(sql + ": " + PQresultErrorMessage(result.get()));
  if (PQntuples(result.get()) == 0) return "";
  return PQgetvalue(result.get(), 0, 0);
}

void TestDatabase::execute(const std::string& sql) {
  run(name_, sql);
}
std::string TestDatabase::value(const std::string& sql) {
  return run(name_, sql);
}

std::string TestDatabase::edition() {
  if (value("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'") == "0") return "plain";
  return value("SELECT current_setting('timescaledb.license', true)") == "timescale" ? "community" : "apache";
}

void TestDatabase::make_plain() {
  execute("SET client_min_messages = warning; DROP EXTENSION IF EXISTS timescaledb CASCADE");
}

void TestDatabase::create_shipped_tables() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(WELLHEAD_SOURCE_DIR) / "migrations"))
    if (entry.path().extension() == ".sql") files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) {
    const std::string sql = read_file(file);
    const std::string head = first_line(sql);
    if (head.starts_with("-- option:") || sql.find("\n-- transaction: none") != std::string::npos) continue;
    if (head.starts_with("-- edition:") &&
        (head.find(edition()) == std::string::npos || head.find('<') != std::string::npos))
      continue;
    execute("SET client_min_messages = warning; " + sql);
  }
}

}  // namespace wellhead
