#include "net/framing_guard.hpp"

namespace wellhead {

const char* FramingGuard::judge(unsigned char byte) const noexcept {
  if (after_carriage_return_) return byte == '\n' ? nullptr : "a carriage return stands alone";
  if (byte == '\n') return "a line ends in a line feed without a carriage return";
  if (byte == '\r' || byte == '\t')
    return line_start_ && byte == '\t' ? "a header is folded over two lines" : nullptr;
  if (byte < 0x20 || byte == 0x7F) return "there is a control character in it";
  if (line_start_ && byte == ' ') return "a header is folded over two lines";
  if (line_start_ && byte == ':') return "a header has no name";
  return nullptr;
}

bool FramingGuard::check(std::string_view framing) noexcept {
  if (reason_ != nullptr) return false;
  for (const char character : framing) {
    const auto byte = static_cast<unsigned char>(character);
    reason_ = judge(byte);
    if (reason_ != nullptr) return false;
    after_carriage_return_ = byte == '\r';
    line_start_ = byte == '\n';
  }
  return true;
}

}  // namespace wellhead
