// Checks what the HTTP parser lets pass although other servers may read it differently, which is what request
// smuggling lives on: every byte of a request that is not body must form CRLF-ended lines without control
// characters, and no line may begin with a blank (a folded header, RFC 9112 §5.2) or a colon (an empty name).
#pragma once

#include <string_view>

namespace wellhead {

class FramingGuard {
 public:
  void reset() noexcept { *this = FramingGuard(); }
  // The next bytes of the framing; false when they break a rule, and then for good.
  [[nodiscard]] bool check(std::string_view framing) noexcept;
  // What was broken, for the client.
  [[nodiscard]] const char* reason() const noexcept { return reason_; }

 private:
  [[nodiscard]] const char* judge(unsigned char byte) const noexcept;

  bool line_start_ = true;
  bool after_carriage_return_ = false;
  const char* reason_ = nullptr;
};

}  // namespace wellhead
