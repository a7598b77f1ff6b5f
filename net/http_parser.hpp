// HTTP/1.1 requests out of pieces of any size: llhttp in strict mode, the framing guard around it, and the
// few headers this server acts on.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/framing_guard.hpp"

namespace wellhead {

enum class HttpMethod : std::uint8_t { get, head, post, other };

// The headers of one request. Strings keep their capacity from request to request.
struct HttpRequestHead {
  HttpMethod method = HttpMethod::other;
  std::string_view method_name;
  std::string target;
  std::uint8_t version_major = 0;
  std::uint8_t version_minor = 0;
  std::uint32_t host_count = 0;
  std::uint64_t content_length = 0;
  bool has_content_length = false;
  bool chunked = false;
  bool keep_alive = false;
  // Values; several of one name are joined by ", ".
  std::string content_type;
  std::string content_encoding;
  std::string transfer_encoding;
  std::string expect;
  std::string ack;
  std::string idempotency_key;
  bool has_idempotency_key = false;

  [[nodiscard]] bool has_body() const noexcept { return chunked || content_length > 0; }
  [[nodiscard]] std::string_view path() const noexcept;
  [[nodiscard]] std::string_view query() const noexcept;  // without the '?'
  void clear() noexcept;
};

// Gets the body in pieces that lie in the bytes being fed.
class HttpBodySink {
 public:
  // False refuses the rest of the request.
  [[nodiscard]] virtual bool on_body(std::string_view piece) = 0;

 protected:
  ~HttpBodySink() = default;
};

class HttpParser {
 public:
  enum class Event : std::uint8_t {
    need_more,  // all bytes are consumed, or more are to be fed
    head,       // head() is complete; without a body this is the end of the request
    complete,   // the body is complete
    overflow,   // the head, or what stands between two pieces of a chunked body, is longer than the limit
    malformed,  // reason() says why; nothing after this can be trusted
    refused,    // by the sink
  };
  struct Step {
    Event event;
    std::size_t consumed;
  };

  // `sink` outlives the parser.
  HttpParser(HttpBodySink& sink, std::uint32_t header_bytes_max);
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  // For the next request.
  void reset();
  // REQUIRES that the last event was need_more or a head with a body.
  [[nodiscard]] Step feed(std::string_view bytes);

  [[nodiscard]] const HttpRequestHead& head() const noexcept { return head_; }
  [[nodiscard]] const char* reason() const noexcept { return reason_; }
  // Nothing of the request has arrived.
  [[nodiscard]] bool at_start() const noexcept { return framing_bytes_ == 0 && !head_complete_; }

 private:
  struct Callbacks;
  enum class Header : std::uint8_t {
    other,
    host,
    content_type,
    content_encoding,
    transfer_encoding,
    expect,
    ack,
    idempotency_key
  };

  [[nodiscard]] bool take_body(std::string_view piece);
  void take_head();
  [[nodiscard]] std::string* value_of(Header header);
  [[nodiscard]] bool check_framing(const char* end);

  HttpBodySink& sink_;
  std::uint32_t header_bytes_max_;
  llhttp_t parser_{};
  FramingGuard guard_;
  HttpRequestHead head_;
  const char* reason_ = "";
  const char* framing_from_ = nullptr;  // within the bytes being fed: framing not yet checked
  std::uint64_t framing_bytes_ = 0;     // since the start, the head or the last piece of body
  std::string field_name_;
  Header header_ = Header::other;
  bool head_complete_ = false;
  bool message_complete_ = false;
  bool refused_ = false;
};

}  // namespace wellhead
