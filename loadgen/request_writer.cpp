#include "loadgen/request_writer.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace wellhead::loadgen {
namespace {

constexpr std::size_t length_digits_max = 20;
constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::size_t key_header_bytes_max = 80;  // with the longest run id and record number

void grow(std::vector<char>& buffer, std::size_t bytes) {
  if (buffer.size() < bytes) buffer.resize(bytes);
}

std::string_view encoding_header(Compression compression) {
  switch (compression) {
    case Compression::gzip:
      return "Content-Encoding: gzip\r\n";
    case Compression::zstd:
      return "Content-Encoding: zstd\r\n";
    case Compression::none:
      break;
  }
  return "";
}

std::string_view ack_header(AckLevel level) {
  switch (level) {
    case AckLevel::journal:
      return "Ack: journal\r\n";
    case AckLevel::commit:
      return "Ack: commit\r\n";
    case AckLevel::listener:
      break;
  }
  return "";
}

}  // namespace

RequestWriter::RequestWriter(const Options& options, const Target& target, const Workload& workload)
    : workload_(workload),
      transport_(target.transport),
      compression_(target.transport == Transport::http ? options.compression : Compression::none),
      compressor_(compression_),
      head_start_(fmt::format(
          "POST /v1/ingest/{} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-ndjson\r\n"
          "{}{}Content-Length: ",
          options.stream_name, target.authority, encoding_header(compression_), ack_header(options.ack))),
      key_start_(options.retry ? fmt::format("\r\nIdempotency-Key: {}-", options.run_id) : "") {}

void RequestWriter::fill(Batch& batch, const Claim& claim) {
  batch.reset();
  batch.range = claim.range;
  batch.due_ns = claim.due_ns;
  if (transport_ == Transport::http) {
    fill_http(batch);
    return;
  }
  grow(batch.buffer, workload_.text_bytes_max(claim.range));
  char* end = workload_.render(claim.range, batch.buffer.data(), batch.bad_offsets);
  batch.text_end = static_cast<std::size_t>(end - batch.buffer.data());
}

// The head needs the body's length, so the body goes first, behind room for the longest head, and the head is
// then put right in front of it.
void RequestWriter::fill_http(Batch& batch) {
  const std::size_t body_begin =
      head_start_.size() + length_digits_max + key_header_bytes_max + head_end.size();
  batch.text_begin = body_begin;
  const std::size_t body_bytes = write_body(batch);
  batch.text_end = body_begin + body_bytes;
  const std::string key = key_start_.empty() ? "" : fmt::format("{}{}", key_start_, batch.range.first);
  const std::string head_rest = fmt::format("{}{}{}", body_bytes, key, head_end);
  char* head = batch.buffer.data() + body_begin - head_rest.size();
  head_rest.copy(head, head_rest.size());
  head -= head_start_.size();
  head_start_.copy(head, head_start_.size());
  batch.text_begin = static_cast<std::size_t>(head - batch.buffer.data());
}

std::size_t RequestWriter::write_body(Batch& batch) {
  const std::size_t text_bytes_max = workload_.text_bytes_max(batch.range);
  if (compression_ == Compression::none) {
    grow(batch.buffer, batch.text_begin + text_bytes_max);
    char* body = batch.buffer.data() + batch.text_begin;
    return static_cast<std::size_t>(workload_.render(batch.range, body, batch.bad_offsets) - body);
  }
  grow(scratch_, text_bytes_max);
  const char* end = workload_.render(batch.range, scratch_.data(), batch.bad_offsets);
  const std::string_view text(scratch_.data(), static_cast<std::size_t>(end - scratch_.data()));
  grow(batch.buffer, batch.text_begin + compressor_.bytes_max(text.size()));
  return compressor_.compress(text, batch.buffer.data() + batch.text_begin);
}

}  // namespace wellhead::loadgen
