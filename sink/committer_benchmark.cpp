// Rows a second of one committer into the telemetry hypertable, against psql's \copy of the same rows in the
// same run; and the node's processor time a row, with and without scoring. Where the server offers direct
// compress, instead: rows, compressed on the way in, and the latter with the promise that they are sorted.
//
//   WELLHEAD_TEST_DATABASE_URL=… sink_benchmark [rows] [devices]
//
// Rounds are interleaved, so that both sides see the same machine; the best round of each counts.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include "sink/postgres_committer.hpp"
#include "sink/test_rows.hpp"
#include "tests/support/test_database.hpp"

namespace wellhead {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t rows_per_batch = 1'000;
constexpr int rounds = 3;

std::vector<std::unique_ptr<Batch>> make_batches(std::size_t rows, std::size_t devices) {
  std::vector<std::unique_ptr<Batch>> batches;
  for (std::size_t row = 0; row < rows; ++row) {
    if (row % rows_per_batch == 0) batches.push_back(test::make_batch(256U << 10));
    const auto time = test::base_time_us + static_cast<std::int64_t>(row / devices) * 1'000'000 +
                      static_cast<std::int64_t>(row % devices) * 37;
    char device[16];
    std::snprintf(device, sizeof device, "well-%05u", static_cast<unsigned>(row * 7'919 % devices));
    test::add_telemetry(*batches.back(), device, time, static_cast<float>(row % 1'000));
  }
  return batches;
}

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

double thread_cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

struct Elapsed {
  double seconds;
  double cpu_seconds;  // of this thread, the server left out
};

struct Mode {
  std::string synchronous_commit;
  std::size_t rows_per_flush;
  bool scored = false;
  DirectCompressUse compress = DirectCompressUse::off;
  std::string settings = {};  // of the session, in addition
};

Elapsed commit_all(const std::string& connection, const Mode& mode,
                   const std::vector<std::unique_ptr<Batch>>& batches) {
  const std::atomic<bool> stopping{false};
  PostgresOptions options{.connection = connection + mode.settings};
  options.synchronous_commit = mode.synchronous_commit;
  CommitterSetup setup{.streams = test::shipped_schemas(),
                       .owner = {.journal_id = random_journal_id()},
                       .direct_compress = {.use = mode.compress}};
  std::vector<StreamScores> scores(setup.streams.size());
  if (mode.scored) setup.scorer = std::make_unique<Scorer>(setup.streams, ScorerLimits{}, scores);
  const auto committer = make_postgres_committer(options, std::move(setup));
  ShardState state = ShardState::starting;
  std::string problem;
  constexpr LaneId lane{1, 0, 0};
  std::vector<LaneProgress> progress{{lane, 0}};
  if (!committer->prepare(progress, stopping, state, problem)) throw std::runtime_error(problem);
  std::uint64_t sequence = 0;
  const auto start = steady_clock::now();
  const double cpu_start = thread_cpu_seconds();
  std::vector<Batch*> flush;
  for (const auto& batch : batches) {
    flush.push_back(batch.get());
    if (flush.size() * rows_per_batch < mode.rows_per_flush && batch != batches.back()) continue;
    const std::vector<LaneMove> moves{{lane, sequence, sequence + flush.size()}};
    const FlushReport report = committer->commit({flush, moves, false}, stopping);
    if (report.outcome != FlushOutcome::committed) throw std::runtime_error(report.problem);
    sequence += flush.size();
    flush.clear();
  }
  return {seconds_since(start), thread_cpu_seconds() - cpu_start};
}

void write_copy_file(const std::string& path, const std::vector<std::unique_ptr<Batch>>& batches,
                     bool sorted) {
  std::vector<Batch*> all;
  all.reserve(batches.size());
  for (const auto& batch : batches) all.push_back(batch.get());
  Flush flush(test::shipped_schemas());
  flush.assign(all);
  const auto rows = flush.rows(test::telemetry_stream);
  std::vector<SortedRow> order(rows.begin(), rows.end());
  if (!sorted) std::ranges::sort(order, {}, &SortedRow::arrival);
  std::ofstream file(path, std::ios::binary);
  file << copy_binary::header;
  for (const SortedRow& row : order) {
    const auto tuple = tuple_of(row);
    file.write(reinterpret_cast<const char*>(tuple.data()), static_cast<std::streamsize>(tuple.size()));
  }
  file << copy_binary::trailer;
}

double psql_copy(const TestDatabase& database, const std::string& path) {
  std::string statement = test::shipped_schemas()[test::telemetry_stream]->copy_statement();
  statement.replace(statement.find("STDIN"), 5, "'" + path + "'");
  const std::string script = path + ".sql";
  std::ofstream(script) << "\\" << statement.replace(0, 4, "copy") << '\n';
  const std::string command =
      "psql -q -v ON_ERROR_STOP=1 -f " + script + " \"" + database.connection() + "\"";
  const auto start = steady_clock::now();
  if (std::system(command.c_str()) != 0) throw std::runtime_error("psql failed");
  return seconds_since(start);
}

// The server's own switch, with its promise: the node neither makes it nor asks for more.
constexpr const char* client_sorted =
    " options='-c timescaledb.enable_direct_compress_copy=on -c "
    "timescaledb.enable_direct_compress_copy_client_sorted=on'";

void run_compressed(TestDatabase& database, std::size_t rows, std::size_t devices) {
  const auto batches = make_batches(rows, devices);
  struct Best {
    double rate = 0;
    std::string size;
  };
  std::map<std::string, Best> best;
  const auto measure = [&](const std::string& name, const Mode& mode) {
    database.execute("TRUNCATE telemetry");
    database.execute("CHECKPOINT");
    const double rate = static_cast<double>(rows) / commit_all(database.connection(), mode, batches).seconds;
    const auto bytes = std::stoull(database.value("SELECT hypertable_size('telemetry')"));
    Best& of_name = best[std::to_string(mode.rows_per_flush) + " rows a flush, " + name];
    of_name.rate = std::max(of_name.rate, rate);
    of_name.size = std::to_string(bytes >> 20) + " MiB";
  };
  for (int round = 0; round < rounds; ++round)
    for (const std::size_t flush : {10'000U, 50'000U, 200'000U}) {
      measure("as rows", {"off", flush});
      measure("compressed", {"off", flush, false, DirectCompressUse::always});
      measure("compressed, client_sorted", {"off", flush, false, DirectCompressUse::off, client_sorted});
    }
  for (const auto& [name, of_name] : best)
    std::cout << static_cast<long>(of_name.rate) << " rows/s, " << of_name.size << "  " << name << '\n';
}

void run(std::size_t rows, std::size_t devices) {
  TestDatabase database;
  database.create_shipped_tables();
  if (database.value("SELECT " + std::string(direct_compress_offered)) == "t")
    return run_compressed(database, rows, devices);
  const auto batches = make_batches(rows, devices);
  const std::string path = std::filesystem::temp_directory_path() / (database.name() + ".copy");
  std::map<std::string, double> best;
  const auto measure = [&](const std::string& name, auto&& action) {
    database.execute("TRUNCATE telemetry, wellhead_device_baselines");
    database.execute("CHECKPOINT");
    const double rate = static_cast<double>(rows) / action();
    best[name] = std::max(best[name], rate);
  };
  std::map<std::string, double> least_cpu;
  const auto measure_committer = [&](const Mode& mode) {
    const std::string name = "committer, " + std::to_string(mode.rows_per_flush) +
                             " rows a flush, synchronous_commit " + mode.synchronous_commit +
                             (mode.scored ? ", scored" : "");
    measure(name, [&] {
      const Elapsed elapsed = commit_all(database.connection(), mode, batches);
      const double nanoseconds = elapsed.cpu_seconds * 1e9 / static_cast<double>(rows);
      const auto [least, first] = least_cpu.try_emplace(name, nanoseconds);
      if (!first) least->second = std::min(least->second, nanoseconds);
      return elapsed.seconds;
    });
  };
  for (int round = 0; round < rounds; ++round) {
    for (const std::size_t flush : {1'000U, 10'000U, 50'000U, 200'000U}) {
      measure_committer({"on", flush});
      for (const bool scored : {false, true}) measure_committer({"off", flush, scored});
    }
    for (const bool sorted : {false, true}) {
      write_copy_file(path, batches, sorted);
      measure(sorted ? "psql \\copy, all rows sorted" : "psql \\copy, rows as they arrive",
              [&] { return psql_copy(database, path); });
    }
  }
  std::filesystem::remove(path);
  std::filesystem::remove(path + ".sql");
  for (const auto& [name, rate] : best) std::cout << static_cast<long>(rate) << " rows/s  " << name << '\n';
  for (const auto& [name, nanoseconds] : least_cpu)
    std::cout << static_cast<long>(nanoseconds) << " ns of the shard's thread a row  " << name << '\n';
}

}  // namespace
}  // namespace wellhead

int main(int argc, char** argv) {
  if (!wellhead::TestDatabase::available()) {
    std::cerr << "needs a TimescaleDB: set " << wellhead::TestDatabase::url_variable
              << " to a superuser's URL\n";
    return 1;
  }
  wellhead::run(argc > 1 ? std::stoul(argv[1]) : 1'000'000, argc > 2 ? std::stoul(argv[2]) : 1'000);
}
