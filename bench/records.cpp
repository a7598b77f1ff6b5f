#include "bench/records.hpp"

#include <algorithm>
#include <cstdio>
#include <random>

#include "codec/decoder.hpp"

namespace wellhead::bench {
namespace {

Members typical_members(std::uint32_t record) {
  std::mt19937 random(record);
  const auto number = [&](double low, double high) {
    char digits[32];
    const auto bytes = std::snprintf(digits, sizeof(digits), "%.4f",
                                     std::uniform_real_distribution<double>(low, high)(random));
    return std::string(digits, static_cast<std::size_t>(bytes));
  };
  char time[64];
  std::snprintf(time, sizeof(time), "\"2024-05-01T11:59:%02u.%06uZ\"", record % 60, record * 997 % 1'000'000);
  return {{"timestamp", time},
          {"device_id", '"' + device_name(record) + '"'},
          {"temperature", number(60, 110)},
          {"vibration", number(0, 0.5)},
          {"pressure", number(100, 3000)},
          {"flow_rate", number(500, 1500)},
          {"motor_current", number(40, 60)},
          {"rpm", number(3000, 3600)},
          {"intake_pressure", number(1800, 2200)},
          {"discharge_pressure", number(2500, 3500)}};
}

std::string to_json(const Members& members, std::string_view separator) {
  std::string json = "{";
  for (const auto& [key, value] : members) {
    if (json.size() > 1) json += ',';
    json += separator;
    json.append("\"").append(key).append("\":").append(value);
  }
  return json + std::string(separator.substr(0, separator.find(' '))) + "}";
}

}  // namespace

std::string lines(const Change& change) {
  std::string body;
  for (std::uint32_t record = 0; record < record_count; ++record) {
    Members members = typical_members(record);
    change(members, record);
    body += to_json(members, "") + '\n';
  }
  return body;
}

std::string pretty_array() {
  std::string body = "[\n";
  for (std::uint32_t record = 0; record < record_count; ++record) {
    if (record > 0) body += ",\n";
    body += to_json(typical_members(record), "\n    ");
  }
  return body + "\n]\n";
}

void as_typical(Members&, std::uint32_t) {}

void shuffle(Members& members, std::uint32_t record) {
  std::shuffle(members.begin(), members.end(), std::mt19937(record));
}

void add_unknown(Members& members, std::uint32_t) {
  members.insert(members.begin() + 2, {"firmware", R"("4.2.1-rc1")"});
  members.emplace_back("anomaly", "false");
  members.emplace_back("tags", R"({"field":"north","pads":[1,2,3]})");
}

void add_unit(Members& members, std::uint32_t) {
  members.insert(members.begin() + 3, {"temperature_unit", R"("F")"});
}

void add_escapes(Members& members, std::uint32_t record) {
  members[1].second = R"("well\/north-)" + std::to_string(record % device_count) + R"(\u00e9")";
  members.emplace_back("source_system", R"("scada \"a\"")");
}

std::string device_name(std::uint32_t record) {
  char name[16];
  std::snprintf(name, sizeof(name), "well-%04u", record % device_count);
  return name;
}

std::string padded(std::string body) {
  body.append(input_padding_bytes, '\0');
  return body;
}

}  // namespace wellhead::bench
