#include "engine/config_values.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <array>
#include <charconv>
#include <limits>
#include <span>
#include <utility>

#include "codec/timestamp.hpp"

namespace wellhead {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest last, so that formatting can look for the largest that divides.
constexpr std::array<Unit, 5> duration_units{
    {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 4> size_units{{{"B", 1}, {"KiB", 1U << 10}, {"MiB", 1U << 20}, {"GiB", 1U << 30}}};

constexpr auto quantity_max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

struct Quantity {
  std::uint64_t number;
  std::string_view unit;
};

std::expected<Quantity, std::string> split_quantity(std::string_view text, std::string_view example) {
  Quantity quantity{0, {}};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quantity.number);
  if (error == std::errc::result_out_of_range)
    return std::unexpected(fmt::format("\"{}\" is too large", text));
  if (error != std::errc())
    return std::unexpected(
        fmt::format("\"{}\" is not a whole number with a unit; write e.g. \"{}\"", text, example));
  quantity.unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (quantity.unit.starts_with(' ')) quantity.unit.remove_prefix(1);
  return quantity;
}

std::expected<std::uint64_t, std::string> scale(std::string_view text, const Quantity& quantity,
                                                std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (unit.name != quantity.unit) continue;
    if (quantity.number > quantity_max / unit.factor)
      return std::unexpected(fmt::format("\"{}\" is too large", text));
    return quantity.number * unit.factor;
  }
  std::string known;
  for (const Unit& unit : units) known += fmt::format("{}{}", known.empty() ? "" : ", ", unit.name);
  return std::unexpected(
      fmt::format("\"{}\" has an unknown unit \"{}\"; the units are {}", text, quantity.unit, known));
}

std::string format_quantity(std::uint64_t amount, std::span<const Unit> units) {
  const Unit* chosen = units.data();
  for (const Unit& unit : units) {
    if (amount != 0 && amount % unit.factor == 0) chosen = &unit;
  }
  return fmt::format("{}{}", amount / chosen->factor, chosen->name);
}

bool numeric_address(const std::string& address) {
  std::array<unsigned char, sizeof(in6_addr)> parsed{};
  const bool six = address.find(':') != std::string::npos;
  return inet_pton(six ? AF_INET6 : AF_INET, address.c_str(), parsed.data()) == 1;
}

std::unexpected<std::string> bad_endpoint(std::string_view text, std::string_view why) {
  return std::unexpected(fmt::format(
      "\"{}\" {}; write a numeric address and a port, e.g. \"127.0.0.1:8080\" or \"[::]:8080\", or \"off\"",
      text, why));
}

}  // namespace

std::expected<std::chrono::milliseconds, std::string> parse_duration(std::string_view text) {
  const auto quantity = split_quantity(text, "20ms");
  if (!quantity) return std::unexpected(quantity.error());
  if (quantity->unit.empty() && quantity->number != 0)
    return std::unexpected(fmt::format("\"{}\" has no unit; write it with ms, s, m, h or d, e.g. \"{}s\"",
                                       text, quantity->number));
  if (quantity->unit.empty()) return std::chrono::milliseconds(0);
  const auto amount = scale(text, *quantity, duration_units);
  if (!amount) return std::unexpected(amount.error());
  return std::chrono::milliseconds(static_cast<std::int64_t>(*amount));
}

std::string format_duration(std::chrono::milliseconds duration) {
  return format_quantity(static_cast<std::uint64_t>(duration.count()), duration_units);
}

std::optional<std::int64_t> parse_moment(std::string_view text, std::int64_t now_us) {
  if (const auto ago = parse_duration(text)) return now_us - std::chrono::microseconds(*ago).count();
  const auto moment = parse_rfc3339(text);
  return moment ? std::optional(*moment) : std::nullopt;
}

std::expected<std::uint64_t, std::string> parse_size(std::string_view text) {
  const auto quantity = split_quantity(text, "64KiB");
  if (!quantity) return std::unexpected(quantity.error());
  if (quantity->unit.empty()) return scale(text, {quantity->number, "B"}, size_units);
  return scale(text, *quantity, size_units);
}

std::string format_size(std::uint64_t bytes) {
  return format_quantity(bytes, size_units);
}

std::expected<Endpoint, std::string> parse_endpoint(std::string_view text) {
  if (text == "off") return Endpoint{"", 0, false};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_endpoint(text, "has no port");
  std::string_view address = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  const bool bracketed = address.size() >= 2 && address.starts_with('[') && address.ends_with(']');
  if (bracketed) address = address.substr(1, address.size() - 2);
  Endpoint endpoint{std::string(address), 0, true};
  if ((endpoint.address.find(':') != std::string::npos) != bracketed)
    return bad_endpoint(text, "needs square brackets around an IPv6 address, and around nothing else");
  if (!numeric_address(endpoint.address)) return bad_endpoint(text, "has no numeric IPv4 or IPv6 address");
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), endpoint.port);
  if (error != std::errc() || end != port_text.data() + port_text.size())
    return bad_endpoint(text, "has no port from 0 to 65535");
  return endpoint;
}

std::string format_endpoint(const Endpoint& endpoint) {
  if (!endpoint.enabled) return "off";
  const bool six = endpoint.address.find(':') != std::string::npos;
  return six ? fmt::format("[{}]:{}", endpoint.address, endpoint.port)
             : fmt::format("{}:{}", endpoint.address, endpoint.port);
}

std::expected<bool, std::string> parse_boolean(std::string_view text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return std::unexpected(fmt::format("\"{}\" is neither true nor false", text));
}

std::expected<std::int64_t, std::string> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    return std::unexpected(fmt::format("\"{}\" is not a whole number", text));
  return number;
}

std::string quote_toml(std::string_view text) {
  std::string quoted = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') {
      quoted += '\\';
      quoted += character;
    } else if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) {
      quoted += fmt::format("\\u{:04X}", static_cast<unsigned>(character));
    } else {
      quoted += character;
    }
  }
  return quoted + '"';
}

}  // namespace wellhead
