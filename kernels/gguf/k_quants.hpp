// Blocks of 256 values in the k-quant layouts of ggml, one block a call. Used by row_codec alone.
//
// q4_k, q5_k: eight groups of 32; value = d * scale[g] * code - dmin * low[g]; scale and low are
// 6-bit, code 4 or 5-bit.
//   bytes: d (f16), dmin (f16), 12 of packed scales and lows, [32 of fifth bits, q5_k only], 128 of
//   nibbles.
// q6_k: sixteen groups of 16; value = d * scale[g] * (code - 32); scale int8, code 6-bit.
//   bytes: 128 of low nibbles, 64 of upper bit pairs, 16 scales, d (f16).
#pragma once

#include <cstddef>

namespace troupe::kernels::k_quants {

inline constexpr int block_elements = 256;

void decode_q4_k(const std::byte* block, float* out);
void decode_q5_k(const std::byte* block, float* out);
void decode_q6_k(const std::byte* block, float* out);

// Values finite and at most 65504 * 4 in magnitude. Single precision in a fixed order: the same
// bytes everywhere.
void encode_q4_k(const float* values, std::byte* block);
void encode_q5_k(const float* values, std::byte* block);
void encode_q6_k(const float* values, std::byte* block);

}  // namespace troupe::kernels::k_quants
