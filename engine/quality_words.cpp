#include "engine/quality_words.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <string_view>
#include <utility>

#include "codec/copy_binary.hpp"
#include "codec/quality.hpp"
#include "codec/sorted_row.hpp"

namespace wellhead {
namespace {

// Migration 0008 has the same words in SQL.
constexpr std::array<std::pair<QualityReason, std::string_view>, 11> reason_names{
    {{QualityReason::late, "late"},
     {QualityReason::clock_ahead, "clock_ahead"},
     {QualityReason::unit_converted, "unit_converted"},
     {QualityReason::repaired, "repaired"},
     {QualityReason::unknown_device, "unknown_device"},
     {QualityReason::inconsistent, "inconsistent"},
     {QualityReason::anomalous, "anomalous"},
     {QualityReason::stuck, "stuck"},
     {QualityReason::changed_quickly, "changed_quickly"},
     {QualityReason::out_of_order, "out_of_order"},
     {QualityReason::warming_up, "warming_up"}}};

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 3> mask_names{
    {{quality_missing_shift, "missing"},
     {quality_out_of_range_shift, "out_of_range"},
     {quality_unusual_shift, "unusual"}}};

}  // namespace

Verdict VerdictReader::read(const RowHeader& header) const noexcept {
  const std::byte* const end = reinterpret_cast<const std::byte*>(&header + 1) + header.tuple_bytes;
  Verdict verdict;
  if (places_.quality_score)
    verdict.score = std::bit_cast<float>(copy_binary::get<std::uint32_t>(end - *places_.quality_score));
  if (places_.anomaly) verdict.anomaly = *(end - *places_.anomaly) != std::byte{0};
  if (places_.quality_flags) verdict.flags = copy_binary::get<std::uint64_t>(end - *places_.quality_flags);
  return verdict;
}

std::vector<std::string> quality_reasons(const Schema& schema, std::uint64_t flags) {
  std::vector<std::string> words;
  for (const auto& [reason, name] : reason_names)
    if ((flags & quality_bit(reason)) != 0) words.emplace_back(name);
  const std::vector<ScoredColumn> scored = scored_columns(schema);
  for (const auto& [shift, name] : mask_names) {
    for (std::uint32_t field = 0; field < scored_fields_max; ++field) {
      if ((flags >> (shift + field) & 1) == 0) continue;
      words.push_back(field < scored.size()
                          ? fmt::format("{}:{}", name, schema.columns()[scored[field].column].name)
                          : fmt::format("{}:field{}", name, field));
    }
  }
  return words;
}

std::string value_text(const RowHeader& header, const ScoredColumn& column) {
  const std::string_view value = field_of(header, column.column);
  if (value.empty()) return {};
  const auto* const bytes = reinterpret_cast<const std::byte*>(value.data());
  switch (column.type) {
    case ColumnType::real:
      return fmt::format("{}", std::bit_cast<float>(copy_binary::get<std::uint32_t>(bytes)));
    case ColumnType::double_precision:
      return fmt::format("{}", std::bit_cast<double>(copy_binary::get<std::uint64_t>(bytes)));
    case ColumnType::integer:
      return fmt::format("{}", static_cast<std::int32_t>(copy_binary::get<std::uint32_t>(bytes)));
    default:
      return fmt::format("{}", static_cast<std::int64_t>(copy_binary::get<std::uint64_t>(bytes)));
  }
}

}  // namespace wellhead
