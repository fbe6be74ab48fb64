// Numbers of the GGUF format that the reader and the writer share, and the parsed form of a file.
//
// Bounds of ours stand beside the format's: a file that exceeds them is refused. Source: the GGUF
// specification (ggml).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/gguf/gguf.hpp"

namespace troupe::kernels::gguf_format {

inline constexpr std::uint32_t magic = 0x46554747;  // "GGUF", little endian
inline constexpr std::uint32_t version_written = 3;
inline constexpr std::uint64_t alignment_default = 32;
inline constexpr std::uint64_t alignment_min = 8;
inline constexpr std::uint64_t alignment_max = 1U << 20;
inline constexpr std::uint64_t key_bytes_max = 65535;
inline constexpr std::uint64_t tensor_name_bytes_max = 64;
inline constexpr std::uint32_t dimensions_max = 4;
inline constexpr std::uint64_t array_elements_max = 1U << 24;
inline constexpr std::uint64_t keys_max = 1U << 16;
inline constexpr std::uint64_t tensors_max = 1U << 20;

enum class value_type : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  text = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

// bytes: of one value; of a text, its length field (the least that it takes).
struct value_type_row {
  value_type type;
  std::string_view name;
  std::uint32_t bytes;
};

inline constexpr value_type_row value_type_table[] = {
    {value_type::u8, "uint8", 1},    {value_type::i8, "int8", 1},
    {value_type::u16, "uint16", 2},  {value_type::i16, "int16", 2},
    {value_type::u32, "uint32", 4},  {value_type::i32, "int32", 4},
    {value_type::f32, "float32", 4}, {value_type::boolean, "bool", 1},
    {value_type::text, "string", 8}, {value_type::array, "array", 12},
    {value_type::u64, "uint64", 8},  {value_type::i64, "int64", 8},
    {value_type::f64, "float64", 8},
};

constexpr const value_type_row* find_value_type(std::uint32_t number) {
  for (const value_type_row& row : value_type_table)
    if (static_cast<std::uint32_t>(row.type) == number) return &row;
  return nullptr;
}

// What a file says, with views into its bytes.
struct contents {
  std::uint32_t version = 0;
  std::map<std::string_view, metadata_value> metadata;
  std::map<std::string_view, std::uint32_t> types;  // of an array: its elements' type
  std::vector<tensor_view> tensors;
  std::unordered_map<std::string_view, std::size_t> by_name;
};

result<contents> parse_contents(std::span<const std::byte> bytes);

// What ggml calls a tensor type that we do not read.
std::string_view ggml_type_name(std::uint32_t number);

// Text of a file for an error message: shortened, and with anything unprintable escaped.
std::string quoted(std::string_view text);

}  // namespace troupe::kernels::gguf_format
