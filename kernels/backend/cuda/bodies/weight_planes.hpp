// Weights as the device keeps them, and how a body reads them: the file's bytes in two planes, so
// that 16 bytes can be read at once. Plain data and inline arithmetic, on host and device.
//
// The first plane holds each block without the scale that breaks its alignment (q8_0 32 bytes, q4_0
// 16, q6_k 208; q4_k and q5_k whole, 144 and 176; float types whole), rows one after another; the
// second, where there is one, the scales that were taken out (float16, one for each block).
// Together they are as many bytes as the file's.
//
// A unit is 32 values along k: a block of q8_0 and q4_0, an eighth of a k-quant's. Its codes are
// eight words of four int8 (k rising from the low byte); the value is (code - offset) times the
// scales.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/body_math.hpp"
#include "kernels/gguf/tensor_type.hpp"

namespace troupe::kernels::cuda {

inline constexpr std::uint32_t unit_values = 32;

struct weight_geometry {
  std::uint32_t values;      // in a block
  std::uint32_t bytes;       // of a block in the file
  std::uint32_t kept;        // of them in the first plane
  std::uint32_t scale_from;  // where the taken scale stands in the file's block
};

constexpr weight_geometry weight_geometry_of(tensor_type type) {
  switch (type) {
    case tensor_type::q8_0:
      return {32, 34, 32, 0};
    case tensor_type::q4_0:
      return {32, 18, 16, 0};
    case tensor_type::q4_k:
      return {256, 144, 144, 0};
    case tensor_type::q5_k:
      return {256, 176, 176, 0};
    case tensor_type::q6_k:
      return {256, 210, 208, 208};
    case tensor_type::f32:
      return {1, 4, 4, 0};
    default:
      return {1, 2, 2, 0};
  }
}

constexpr bool quantized(tensor_type type) {
  return weight_geometry_of(type).values > 1;
}
constexpr bool by_256(tensor_type type) {
  return weight_geometry_of(type).values == 256;
}
constexpr bool has_minimum(tensor_type type) {
  return type == tensor_type::q4_k || type == tensor_type::q5_k;
}
constexpr int code_offset(tensor_type type) {
  return type == tensor_type::q4_0 ? 8 : type == tensor_type::q6_k ? 32 : 0;
}

// One matrix on the device: n rows of k values.
struct device_matrix {
  tensor_type type = tensor_type::f32;
  std::uint64_t n = 0, k = 0;
  const std::uint8_t* blocks = nullptr;
  const std::uint16_t* scales = nullptr;  // null where nothing was taken out
};

// Where the planes of one matrix lie in its memory, which begins at a multiple of 256.
struct weight_planes {
  std::uint64_t row_bytes = 0;   // of the first plane
  std::uint64_t scales_at = 0;   // of the second plane, from the beginning
  std::uint64_t row_scales = 0;  // scales of one row
  std::uint64_t bytes = 0;       // of both
};

constexpr weight_planes weight_planes_of(tensor_type type, std::uint64_t n, std::uint64_t k) {
  const weight_geometry g = weight_geometry_of(type);
  weight_planes planes;
  planes.row_bytes = k / g.values * g.kept;
  planes.scales_at = (n * planes.row_bytes + 255) / 256 * 256;
  planes.row_scales = g.kept < g.bytes ? k / g.values : 0;
  planes.bytes = planes.scales_at + n * planes.row_scales * 2;
  return planes;
}

// Splits one row of the file into its part of both planes.
inline void split_row(tensor_type type, std::uint64_t k, const std::uint8_t* row,
                      std::uint8_t* blocks, std::uint8_t* scales) {
  const weight_geometry g = weight_geometry_of(type);
  if (g.kept == g.bytes) {
    std::memcpy(blocks, row, k / g.values * g.bytes);
    return;
  }
  const std::uint32_t kept_from = g.scale_from == 0 ? 2 : 0;
  for (std::uint64_t b = 0; b < k / g.values; ++b) {
    std::memcpy(blocks + b * g.kept, row + b * g.bytes + kept_from, g.kept);
    std::memcpy(scales + b * 2, row + b * g.bytes + g.scale_from, 2);
  }
}

struct unit_codes {
  std::uint32_t word[8];
};

// Unit `unit` of the row that begins at `row` in the first plane.
template <tensor_type Type>
TROUPE_BODY unit_codes read_codes(const std::uint8_t* row, std::uint32_t unit) {
  unit_codes codes;
  if constexpr (Type == tensor_type::q8_0) {
    const quad low = load_quad(row + unit * 32), high = load_quad(row + unit * 32 + 16);
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      codes.word[i] = low.word[i];
      codes.word[4 + i] = high.word[i];
    }
  } else if constexpr (Type == tensor_type::q4_0) {
    const quad nibbles = load_quad(row + unit * 16);
    TROUPE_UNROLL
    for (int i = 0; i < 4; ++i) {
      codes.word[i] = nibbles.word[i] & 0x0f0f0f0fu;
      codes.word[4 + i] = nibbles.word[i] >> 4 & 0x0f0f0f0fu;
    }
  } else if constexpr (has_minimum(Type)) {
    constexpr std::uint32_t nibbles_at = Type == tensor_type::q4_k ? 16 : 48;
    const std::uint8_t* block = row + unit / 8 * weight_geometry_of(Type).kept;
    const std::uint32_t j = unit % 8, shift = j % 2 * 4;
    TROUPE_UNROLL
    for (int half = 0; half < 2; ++half) {
      const quad nibbles = load_quad(block + nibbles_at + j / 2 * 32 + half * 16);
      quad fifth = {};
      if constexpr (Type == tensor_type::q5_k) fifth = load_quad(block + 16 + half * 16);
      TROUPE_UNROLL
      for (int i = 0; i < 4; ++i)
        codes.word[half * 4 + i] =
            (nibbles.word[i] >> shift & 0x0f0f0f0fu) | (fifth.word[i] >> j & 0x01010101u) << 4;
    }
  } else {
    static_assert(Type == tensor_type::q6_k);
    const std::uint8_t* block = row + unit / 8 * weight_geometry_of(Type).kept;
    const std::uint32_t hundred = unit % 8 / 4, quarter = unit % 4;
    TROUPE_UNROLL
    for (int half = 0; half < 2; ++half) {
      const quad low = load_quad(block + hundred * 64 + quarter % 2 * 32 + half * 16);
      const quad high = load_quad(block + 128 + hundred * 32 + half * 16);
      TROUPE_UNROLL
      for (int i = 0; i < 4; ++i)
        codes.word[half * 4 + i] = (low.word[i] >> (quarter / 2 * 4) & 0x0f0f0f0fu) |
                                   (high.word[i] >> (quarter * 2) & 0x03030303u) << 4;
    }
  }
  return codes;
}

// The whole-number scales of a k-quant's unit: q4_k and q5_k its scale and minimum, q6_k the scales
// of its first and second 16 values.
struct unit_scales {
  std::int32_t first, second;
};

// Those of unit j of a block of q4_k or q5_k, of the block's first 16 bytes.
TROUPE_BODY unit_scales unit_scales_of(const quad& head, std::uint32_t j) {
  const std::uint32_t shift = j % 4 * 8;
  const std::uint32_t a = head.word[1] >> shift & 255u, b = head.word[2] >> shift & 255u,
                      c = head.word[3] >> shift & 255u;
  if (j < 4) return {static_cast<std::int32_t>(a & 63u), static_cast<std::int32_t>(b & 63u)};
  return {static_cast<std::int32_t>((c & 15u) | (a >> 6) << 4),
          static_cast<std::int32_t>(c >> 4 | (b >> 6) << 4)};
}

template <tensor_type Type>
TROUPE_BODY unit_scales read_unit_scales(const std::uint8_t* row, std::uint32_t unit) {
  const std::uint8_t* block = row + unit / 8 * weight_geometry_of(Type).kept;
  const std::uint32_t j = unit % 8;
  if constexpr (has_minimum(Type)) {
    return unit_scales_of(load_quad(block), j);
  } else {
    static_assert(Type == tensor_type::q6_k);
    return {static_cast<std::int8_t>(block[192 + 2 * j]),
            static_cast<std::int8_t>(block[192 + 2 * j + 1])};
  }
}

// d and, for types with one, dmin of block `block` of a row.
struct block_scales {
  float d = 0, dmin = 0;
};

template <tensor_type Type>
TROUPE_BODY block_scales read_block_scales(const std::uint8_t* row, const std::uint16_t* scales,
                                           std::uint64_t block) {
  if constexpr (has_minimum(Type)) {
    const std::uint16_t* at =
        reinterpret_cast<const std::uint16_t*>(row + block * weight_geometry_of(Type).kept);
    return {widen_half(at[0]), widen_half(at[1])};
  } else {
    return {widen_half(scales[block]), 0.0f};
  }
}

// One value of a row of a float type.
template <tensor_type Type>
TROUPE_BODY float read_float(const std::uint8_t* row, std::uint64_t i) {
  if constexpr (Type == tensor_type::f32)
    return reinterpret_cast<const float*>(row)[i];
  else if constexpr (Type == tensor_type::f16)
    return widen_half(reinterpret_cast<const std::uint16_t*>(row)[i]);
  else
    return widen_bfloat(reinterpret_cast<const std::uint16_t*>(row)[i]);
}

// One value of a row of any type, with row_codec's roundings.
template <tensor_type Type>
TROUPE_BODY float read_value(const std::uint8_t* row, const std::uint16_t* scales,
                             std::uint64_t i) {
  if constexpr (!quantized(Type)) {
    return read_float<Type>(row, i);
  } else {
    const std::uint32_t unit = static_cast<std::uint32_t>(i / unit_values), at = i % unit_values;
    const unit_codes codes = read_codes<Type>(row, unit);
    std::uint32_t word = 0;
    TROUPE_UNROLL
    for (std::uint32_t w = 0; w < 8; ++w)
      if (w == at / 4) word = codes.word[w];
    const int code = static_cast<std::int8_t>(word >> (at % 4 * 8) & 255u) - code_offset(Type);
    const block_scales block =
        read_block_scales<Type>(row, scales, i / weight_geometry_of(Type).values);
    if constexpr (has_minimum(Type)) {
      const unit_scales whole = read_unit_scales<Type>(row, unit);
      const float scale = block.d * static_cast<float>(whole.first);
      const float low = block.dmin * static_cast<float>(whole.second);
      return scale * static_cast<float>(code) - low;
    } else if constexpr (Type == tensor_type::q6_k) {
      const unit_scales whole = read_unit_scales<Type>(row, unit);
      const float scale = block.d * static_cast<float>(at < 16 ? whole.first : whole.second);
      return scale * static_cast<float>(code);
    } else {
      return block.d * static_cast<float>(code);
    }
  }
}

}  // namespace troupe::kernels::cuda
