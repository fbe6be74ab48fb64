// The packed form of weights and the prepared form of x, as plain structs: all that the files of
// one instruction set may include beside intrinsics, so that no inline function is compiled for a
// newer machine and shared.
//
// Packed weights. Rows go in groups of 16 (rows past n are zeros). A group is, for all blocks along
// k, its quant bytes [block][quant_bytes], then its scales [block][scale_bytes]. Quant bytes are
// the file's own bytes of a block, taken four at a time and interleaved over the 16 rows: vector v
// (64 bytes) holds bytes 4v .. 4v + 3 of row 0, row 1 ...
//   q8_0  8 vectors of int8
//   q4_0  4 vectors; low nibble of vector v: k = 4v + b, high nibble: 16 more
//   q4_k  32 vectors; 64 values in 8 vectors, low nibbles are the first 32
//   q5_k  32 vectors as q4_k, then 8 of fifth bits: bit j of vector v belongs to k = 32j + 4v + b
//   q6_k  32 vectors of low nibbles, then 16 of high bit pairs, in the file's order (see
//   matmul_packed.cpp)
// Scales of a block, all 16 rows:
//   q8_0, q4_0  d[16] f16
//   q4_k, q5_k  d[16] f16, dmin[16] f16, then 3 vectors of 4 bytes a row (byte i of a row's four):
//               A: low nibbles of scale i (low) and minimum i (high); B: the same of i + 4;
//               C: high bit pairs of scale i, scale i + 4, minimum i, minimum i + 4, from bit 0 up
//   q6_k        4 vectors (vector s, byte i: int8 scale 4s + i), then d[16] f16
#pragma once

#include <cstddef>
#include <cstdint>

namespace troupe::kernels {

inline constexpr std::uint32_t group_rows = 16;
inline constexpr std::uint32_t k_block = 256;  // values in a block of a k-quant

// Bytes of one block of 16 rows.
inline constexpr std::uint32_t q8_0_quants = 512, q8_0_scales = 32;
inline constexpr std::uint32_t q4_0_quants = 256, q4_0_scales = 32;
inline constexpr std::uint32_t q4_k_quants = 2048, q4_k_scales = 256;
inline constexpr std::uint32_t q5_k_quants = 2560, q5_k_scales = 256;
inline constexpr std::uint32_t q6_k_quants = 3072, q6_k_scales = 288;

struct packed_view {
  const std::uint8_t* groups = nullptr;  // 64-byte aligned; null where the source is read in place
  std::uint64_t group_stride = 0;        // bytes, a multiple of 64
  std::uint64_t n = 0;
  std::uint64_t k = 0;
  const std::uint8_t* source = nullptr;
  std::uint64_t source_stride = 0;  // bytes of one row of the source
};

// Prepared x. The row stride is k and a cache line more, else rows of a power of two would fall on
// the same few lines of the caches. Rows of q and its companions exist up to a multiple of 32, so
// that a tile may read past m. d lies in tiles of 16 rows, so that a tile's scales of one block are
// one vector. Sums are the sums of q over 32 (by_32) or over 16 and 32 (by_256); in each four of
// the latter two the order is 0, 2, 1, 3, which is how pairs of scales come out of a packed vector.
struct activation_view {
  std::uint64_t k = 0;
  std::uint64_t stride = 0;              // elements from row to row of values or q
  const float* values = nullptr;         // [m][stride]
  const std::int8_t* q = nullptr;        // [m][stride]
  const float* d = nullptr;              // [m / 16][k / block][m % 16]
  const std::int32_t* sums = nullptr;    // [m][k / 32], by_32
  const std::int16_t* sums16 = nullptr;  // [m][k / 16], by_256
  const std::int16_t* sums32 = nullptr;  // [m][k / 32], by_256
};

using multiply_function = void(const packed_view& w, const activation_view& x, std::uint64_t m,
                               std::uint64_t n_begin, std::uint64_t n_end, float* y,
                               std::uint64_t y_stride);

// One row of x; the outputs are that row's, d[block * group_rows].
using quantize_by_32_function = void(const float* x, std::uint64_t k, std::int8_t* q, float* d,
                                     std::int32_t* sums);
using quantize_by_256_function = void(const float* x, std::uint64_t k, std::int8_t* q, float* d,
                                      std::int16_t* sums16, std::int16_t* sums32);

// What one instruction set brings.
struct matmul_kernels {
  bool packed;  // reads the packed form; else the source
  multiply_function *f32, *f16, *bf16, *q8_0, *q4_0, *q4_k, *q5_k, *q6_k;
  quantize_by_32_function* quantize_by_32;
  quantize_by_256_function* quantize_by_256;
};

extern const matmul_kernels reference_kernels, portable_kernels, avx2_kernels, avx512_kernels,
    amx_kernels;

}  // namespace troupe::kernels
