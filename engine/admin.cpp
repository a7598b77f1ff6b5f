#include "engine/admin.hpp"

#include <algorithm>
#include <array>

#include "base/json_text.hpp"
#include "engine/metrics.hpp"

namespace wellhead {
namespace {

// A JSON object written member by member.
class JsonObject {
 public:
  JsonObject& text(std::string_view key, std::string_view value) {
    begin(key);
    append_json_string(out_, value);
    return *this;
  }
  JsonObject& raw(std::string_view key, std::string_view json) {
    begin(key);
    out_ += json;
    return *this;
  }
  [[nodiscard]] std::string done() && { return std::move(out_) + '}'; }

 private:
  void begin(std::string_view key) {
    if (out_.size() > 1) out_ += ',';
    append_json_string(out_, key);
    out_ += ':';
  }
  std::string out_ = "{";
};

HttpReply json_reply(int status, std::string body) {
  HttpReply reply;
  reply.status = status;
  reply.body = std::move(body) + '\n';
  // An answer about now must not come out of a cache.
  reply.headers.emplace_back("Cache-Control", "no-store");
  return reply;
}

std::string shards_json(const std::vector<ShardReading>& shards) {
  std::string list = "[";
  for (const ShardReading& shard : shards) {
    JsonObject object;
    object.raw("shard", std::to_string(shard.index)).text("state", to_string(shard.state));
    if (!shard.problem.empty()) object.text("problem", shard.problem);
    list += (list.size() > 1 ? "," : "") + std::move(object).done();
  }
  return list + ']';
}

// The first writer that takes nothing; null where all do.
const JournalWriterReading* stuck_writer(const JournalReading& journal) {
  const auto stuck = std::ranges::find_if(journal.writers, [](const JournalWriterReading& writer) {
    return writer.latched || !writer.problem.empty();
  });
  return stuck == journal.writers.end() ? nullptr : &*stuck;
}

std::string journal_json(const JournalReading& journal) {
  const JournalWriterReading* stuck = stuck_writer(journal);
  JsonObject object;
  object.text("state", stuck == nullptr ? "writable"
                       : stuck->latched ? "latched"
                       : stuck->full    ? "full"
                                        : "not_ready");
  object.raw("bytes", std::to_string(journal.usage.bytes));
  object.raw("bytes_max", std::to_string(journal.usage.bytes_max));
  if (stuck != nullptr) object.text("problem", stuck->problem);
  return std::move(object).done();
}

std::string_view status_of(const NodeView& node, const std::vector<ShardReading>& shards,
                           const std::optional<JournalReading>& journal) {
  if (node.stopping()) return "stopping";
  if (!node.started()) return "starting";
  if (journal && stuck_writer(*journal) != nullptr) return "not_ready";
  const bool all_commit =
      std::ranges::all_of(shards, [](const ShardReading& shard) { return shard.state == ShardState::ready; });
  if (all_commit) return "ready";
  return journal ? "degraded" : "not_ready";
}

constexpr std::array<std::string_view, 5> paths{"/", "/health/live", "/health/ready", "/health/startup",
                                                "/metrics"};

}  // namespace

HttpReply AdminHandler::handle(std::string_view method, std::string_view path, std::string_view /*query*/) {
  const bool known = std::find(paths.begin(), paths.end(), path) != paths.end();
  if (!known)
    return json_reply(404,
                      R"({"error":"not_found","message":"There is nothing here; / lists what there is."})");
  if (method != "GET" && method != "HEAD") {
    HttpReply reply =
        json_reply(405, R"({"error":"method_not_allowed","message":"Only GET and HEAD are answered here."})");
    reply.headers.emplace_back("Allow", "GET, HEAD");
    return reply;
  }
  if (path == "/health/live") return live();
  if (path == "/health/startup") return startup();
  if (path == "/health/ready") return ready();
  if (path == "/metrics") return metrics();
  return directory();
}

void AdminHandler::set_addresses(std::string http, std::string ndjson) {
  directory_.http = std::move(http);
  directory_.ndjson = std::move(ndjson);
}

HttpReply AdminHandler::live() const {
  return json_reply(200, R"({"status":"live"})");
}

HttpReply AdminHandler::startup() const {
  return node_.started() ? json_reply(200, R"({"status":"started"})")
                         : json_reply(503, R"({"status":"starting"})");
}

HttpReply AdminHandler::ready() const {
  const std::vector<ShardReading> shards = node_.shards();
  const std::optional<JournalReading> journal = node_.journal();
  const std::string_view status = status_of(node_, shards, journal);
  JsonObject object;
  object.text("status", status);
  if (journal) object.raw("journal", journal_json(*journal));
  object.raw("shards", shards_json(shards));
  return json_reply(status == "ready" || status == "degraded" ? 200 : 503, std::move(object).done());
}

HttpReply AdminHandler::metrics() const {
  HttpReply reply;
  reply.content_type = metrics_content_type;
  reply.body = render_metrics(node_, directory_.version);
  return reply;
}

HttpReply AdminHandler::directory() const {
  std::string streams = "[";
  for (const std::string& stream : directory_.streams) {
    if (streams.size() > 1) streams += ',';
    append_json_string(streams, stream);
  }
  streams += ']';
  JsonObject object;
  object.text("name", "wellhead")
      .text("about",
            "Takes JSON telemetry and puts each record into its TimescaleDB hypertable exactly once.")
      .text("version", directory_.version)
      .text("node", directory_.node_id)
      .text("http", directory_.http)
      .text("ndjson", directory_.ndjson)
      .text("ingest", "POST /v1/ingest/{stream} on the http address")
      .raw("streams", streams)
      .raw("here", R"(["/health/live","/health/ready","/health/startup","/metrics"])");
  return json_reply(200, std::move(object).done());
}

}  // namespace wellhead
