// Element types of tensors as GGUF names them (source: the ggml format's type numbers), with their
// block geometry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::kernels {

enum class tensor_type : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

// elements: values in one block; bytes: what the block takes. A row's length is a multiple of
// `elements`.
struct tensor_type_row {
  tensor_type type;
  std::string_view name;
  std::uint32_t elements;
  std::uint32_t bytes;
};

inline constexpr tensor_type_row tensor_type_table[] = {
    {tensor_type::f32, "f32", 1, 4},       {tensor_type::f16, "f16", 1, 2},
    {tensor_type::bf16, "bf16", 1, 2},     {tensor_type::q8_0, "q8_0", 32, 34},
    {tensor_type::q4_0, "q4_0", 32, 18},   {tensor_type::q4_k, "q4_k", 256, 144},
    {tensor_type::q5_k, "q5_k", 256, 176}, {tensor_type::q6_k, "q6_k", 256, 210},
};

constexpr const tensor_type_row* find_tensor_type(std::uint32_t number) {
  for (const tensor_type_row& row : tensor_type_table)
    if (static_cast<std::uint32_t>(row.type) == number) return &row;
  return nullptr;
}
constexpr const tensor_type_row* find_tensor_type(std::string_view name) {
  for (const tensor_type_row& row : tensor_type_table)
    if (row.name == name) return &row;
  return nullptr;
}
constexpr const tensor_type_row& row_of(tensor_type type) {
  return *find_tensor_type(static_cast<std::uint32_t>(type));
}

}  // namespace troupe::kernels
