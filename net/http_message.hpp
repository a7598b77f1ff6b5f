// What an HTTP request is to those who answer it, and what they answer with.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wellhead {

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>>
      headers;  // besides Content-Type, Content-Length, Date, Connection
};

// Answers requests that need nothing but the process's own state: the admin port. Called on the thread of the
// reactor that owns the listener; must not block.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // `path` is without the query. Any method.
  [[nodiscard]] virtual HttpReply handle(std::string_view method, std::string_view path,
                                         std::string_view query) = 0;
};

}  // namespace wellhead
