// A row back to JSON: for rows the database refused, whose records are gone but whose tuples are there.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "codec/schema.hpp"

namespace wellhead {

// The object a record would have been that makes this row: the stream's own keys (each column's first),
// numbers in the unit the stream takes them in, times as RFC 3339. Nulls and receive times are left out.
// Decoding it makes the same row again, but that a converted number may differ in its last digit. REQUIRES a
// tuple of this schema's columns.
[[nodiscard]] std::string row_as_json(const Schema& schema, std::span<const std::byte> tuple);

// The bytes of one field of a tuple, empty where it is null. REQUIRES a tuple with more than `field` fields.
[[nodiscard]] std::string_view tuple_field(std::span<const std::byte> tuple, std::size_t field) noexcept;

}  // namespace wellhead
