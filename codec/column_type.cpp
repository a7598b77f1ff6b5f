#include <array>

#include "codec/schema.hpp"

namespace wellhead {
namespace {

struct TypeFacts {
  ColumnType type;
  std::string_view name;
  std::uint32_t oid;
  std::string_view sql_name;
};

constexpr auto facts = std::to_array<TypeFacts>({
    {ColumnType::timestamptz, "timestamptz", 1184, "timestamp with time zone"},
    {ColumnType::text, "text", 25, "text"},
    {ColumnType::real, "real", 700, "real"},
    {ColumnType::double_precision, "double", 701, "double precision"},
    {ColumnType::integer, "int", 23, "integer"},
    {ColumnType::bigint, "bigint", 20, "bigint"},
    {ColumnType::boolean, "bool", 16, "boolean"},
    {ColumnType::jsonb, "jsonb", 3802, "jsonb"},
    {ColumnType::bytea, "bytea", 17, "bytea"},
    {ColumnType::uuid, "uuid", 2950, "uuid"},
});

constexpr bool in_order() {
  for (std::size_t index = 0; index < facts.size(); ++index) {
    if (static_cast<std::size_t>(facts[index].type) != index) return false;
  }
  return true;
}
static_assert(in_order());

constexpr const TypeFacts& facts_of(ColumnType type) noexcept {
  return facts[static_cast<std::size_t>(type)];
}

}  // namespace

std::string_view to_string(ColumnType type) noexcept {
  return facts_of(type).name;
}

std::optional<ColumnType> column_type_from(std::string_view name) noexcept {
  for (const TypeFacts& entry : facts) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

std::uint32_t type_oid(ColumnType type) noexcept {
  return facts_of(type).oid;
}

std::string_view sql_type_name(ColumnType type) noexcept {
  return facts_of(type).sql_name;
}

}  // namespace wellhead
