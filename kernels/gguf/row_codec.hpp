// Rows of values to and from each tensor type. The slow, obvious twin of every quantized kernel: a
// kernel's answer is judged against decode_row and plain arithmetic.
#pragma once

#include <span>

#include "config/outcome.hpp"
#include "kernels/gguf/tensor_type.hpp"

namespace troupe::kernels {

// out.size() values; bytes.size() == out.size() / elements * bytes of the type (asserted).
void decode_row(tensor_type type, std::span<const std::byte> bytes, std::span<float> out);

// Every type, q5_k too. Values must be finite (invalid_argument otherwise). Deterministic: same
// bytes on every machine.
status encode_row(tensor_type type, std::span<const float> values, std::span<std::byte> out);

float half_to_float(std::uint16_t half);
std::uint16_t float_to_half(float value);  // round to nearest even
float bfloat_to_float(std::uint16_t bits);
std::uint16_t float_to_bfloat(float value);  // round to nearest even

}  // namespace troupe::kernels
