#include "net/http_parser.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace wellhead {
namespace {

constexpr std::size_t field_name_bytes_max = 32;  // longer names are none of ours

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  });
}

HttpMethod method_of(std::uint8_t method) {
  switch (method) {
    case HTTP_GET:
      return HttpMethod::get;
    case HTTP_HEAD:
      return HttpMethod::head;
    case HTTP_POST:
      return HttpMethod::post;
    default:
      return HttpMethod::other;
  }
}

}  // namespace

// llhttp's C callbacks, each with the parser behind llhttp_t::data.
struct HttpParser::Callbacks {
  static HttpParser& self(llhttp_t* parser) { return *static_cast<HttpParser*>(parser->data); }

  static int on_url(llhttp_t* parser, const char* at, std::size_t size) {
    self(parser).head_.target.append(at, size);
    return HPE_OK;
  }

  static int on_header_field(llhttp_t* parser, const char* at, std::size_t size) {
    std::string& name = self(parser).field_name_;
    if (name.size() + size <= field_name_bytes_max)
      name.append(at, size);
    else
      name.assign(field_name_bytes_max + 1, '-');
    return HPE_OK;
  }

  static int on_header_field_complete(llhttp_t* parser) {
    struct Known {
      std::string_view name;
      Header header;
    };
    static constexpr std::array<Known, 7> known{{{"host", Header::host},
                                                 {"content-type", Header::content_type},
                                                 {"content-encoding", Header::content_encoding},
                                                 {"transfer-encoding", Header::transfer_encoding},
                                                 {"expect", Header::expect},
                                                 {"ack", Header::ack},
                                                 {"idempotency-key", Header::idempotency_key}}};
    HttpParser& me = self(parser);
    me.header_ = Header::other;
    // Trailers come here too; none of them may change what the head has said.
    if (!me.head_complete_)
      for (const Known& candidate : known)
        if (equal_ignoring_case(candidate.name, me.field_name_)) me.header_ = candidate.header;
    if (me.header_ == Header::host) ++me.head_.host_count;
    if (me.header_ == Header::idempotency_key) me.head_.has_idempotency_key = true;
    std::string* value = me.value_of(me.header_);
    if (value != nullptr && !value->empty()) value->append(", ");
    me.field_name_.clear();
    return HPE_OK;
  }

  static int on_header_value(llhttp_t* parser, const char* at, std::size_t size) {
    HttpParser& me = self(parser);
    if (std::string* value = me.value_of(me.header_)) value->append(at, size);
    return HPE_OK;
  }

  static int on_headers_complete(llhttp_t* parser) {
    self(parser).take_head();
    // Upgrades are not offered; an unread "Upgrade" header is to be ignored (RFC 9110 §7.8).
    parser->upgrade = 0;
    return HPE_PAUSED;
  }

  static int on_body(llhttp_t* parser, const char* at, std::size_t size) {
    return self(parser).take_body({at, size}) ? HPE_OK : HPE_USER;
  }

  static int on_message_complete(llhttp_t* parser) {
    self(parser).message_complete_ = true;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t* settings() {
    static const llhttp_settings_t instance = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_url = on_url;
      made.on_header_field = on_header_field;
      made.on_header_field_complete = on_header_field_complete;
      made.on_header_value = on_header_value;
      made.on_headers_complete = on_headers_complete;
      made.on_body = on_body;
      made.on_message_complete = on_message_complete;
      return made;
    }();
    return &instance;
  }
};

void HttpRequestHead::clear() noexcept {
  method = HttpMethod::other;
  method_name = {};
  target.clear();
  version_major = 0;
  version_minor = 0;
  host_count = 0;
  content_length = 0;
  has_content_length = false;
  chunked = false;
  keep_alive = false;
  content_type.clear();
  content_encoding.clear();
  transfer_encoding.clear();
  expect.clear();
  ack.clear();
  idempotency_key.clear();
  has_idempotency_key = false;
}

std::string_view HttpRequestHead::path() const noexcept {
  std::string_view path = target;
  // The absolute form, which a server has to accept too (RFC 9112 §3.2.2).
  if (!path.starts_with('/')) {
    const std::size_t authority = path.find("://");
    const std::size_t start = authority == std::string_view::npos ? authority : path.find('/', authority + 3);
    if (start == std::string_view::npos) return authority == std::string_view::npos ? path : "/";
    path.remove_prefix(start);
  }
  return path.substr(0, path.find_first_of("?#"));
}

std::string_view HttpRequestHead::query() const noexcept {
  const std::string_view all = target;
  const std::size_t mark = all.find('?');
  if (mark == std::string_view::npos) return {};
  return all.substr(mark + 1, all.find('#', mark) - mark - 1);
}

HttpParser::HttpParser(HttpBodySink& sink, std::uint32_t header_bytes_max)
    : sink_(sink), header_bytes_max_(header_bytes_max) {
  reset();
}

void HttpParser::reset() {
  llhttp_init(&parser_, HTTP_REQUEST, Callbacks::settings());
  parser_.data = this;
  guard_.reset();
  head_.clear();
  reason_ = "";
  framing_bytes_ = 0;
  field_name_.clear();
  header_ = Header::other;
  head_complete_ = false;
  message_complete_ = false;
  refused_ = false;
}

HttpParser::Step HttpParser::feed(std::string_view bytes) {
  const bool head_was_complete = head_complete_;
  // The head is fed up to its limit only, so that no more than the limit is ever kept of it.
  if (!head_was_complete) bytes = bytes.substr(0, header_bytes_max_ - framing_bytes_);
  framing_from_ = bytes.data();
  const llhttp_errno_t status = llhttp_execute(&parser_, bytes.data(), bytes.size());
  const char* end = status == HPE_OK ? bytes.data() + bytes.size() : llhttp_get_error_pos(&parser_);
  const auto consumed = static_cast<std::size_t>(end - bytes.data());
  if (refused_) return {.event = Event::refused, .consumed = consumed};

  const bool fits = check_framing(end);
  if (guard_.reason() != nullptr || (status != HPE_OK && status != HPE_PAUSED)) {
    reason_ = guard_.reason() != nullptr ? guard_.reason() : llhttp_get_error_reason(&parser_);
    if (status == HPE_PAUSED_H2_UPGRADE) reason_ = "HTTP/2 is not spoken here";
    return {.event = Event::malformed, .consumed = consumed};
  }
  if (status == HPE_PAUSED) {
    llhttp_resume(&parser_);
    if (!head_was_complete) framing_bytes_ = 0;
    return {.event = message_complete_ ? Event::complete : Event::head, .consumed = consumed};
  }
  return {.event = fits ? Event::need_more : Event::overflow, .consumed = consumed};
}

// Checks the framing up to `end`; false when there is more of it than the limit.
bool HttpParser::check_framing(const char* end) {
  // llhttp reports an error at the byte it stumbled over, which may be before the body it handed out last.
  const auto size = end > framing_from_ ? static_cast<std::size_t>(end - framing_from_) : 0;
  if (!guard_.check({framing_from_, size})) return false;
  framing_bytes_ += size;
  return framing_bytes_ < header_bytes_max_;
}

bool HttpParser::take_body(std::string_view piece) {
  if (!guard_.check({framing_from_, static_cast<std::size_t>(piece.data() - framing_from_)})) return false;
  framing_from_ = piece.data() + piece.size();
  framing_bytes_ = 0;
  refused_ = !sink_.on_body(piece);
  return !refused_;
}

void HttpParser::take_head() {
  head_complete_ = true;
  head_.method = method_of(parser_.method);
  head_.method_name = llhttp_method_name(static_cast<llhttp_method_t>(parser_.method));
  head_.version_major = parser_.http_major;
  head_.version_minor = parser_.http_minor;
  head_.has_content_length = (parser_.flags & F_CONTENT_LENGTH) != 0;
  head_.content_length = parser_.content_length;
  head_.chunked = (parser_.flags & F_CHUNKED) != 0;
  // HTTP/1.0 clients are answered and closed; keeping them would need their own header in the reply.
  const bool one_one = parser_.http_major == 1 && parser_.http_minor == 1;
  head_.keep_alive = one_one && (parser_.flags & F_CONNECTION_CLOSE) == 0;
}

std::string* HttpParser::value_of(Header header) {
  switch (header) {
    case Header::content_type:
      return &head_.content_type;
    case Header::content_encoding:
      return &head_.content_encoding;
    case Header::transfer_encoding:
      return &head_.transfer_encoding;
    case Header::expect:
      return &head_.expect;
    case Header::ack:
      return &head_.ack;
    case Header::idempotency_key:
      return &head_.idempotency_key;
    case Header::host:
    case Header::other:
      return nullptr;
  }
  return nullptr;
}

}  // namespace wellhead
