// Body that turns queries and keys (RoPE) and stores keys and values in the paged store, in one
// pass over the rows: elementwise.hpp's rotate and attention.hpp's store.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/attention_places.hpp"

namespace troupe::kernels::cuda {

struct rotate_arguments {
  device_kv store;
  float* rows = nullptr;  // queries, keys and values of a row side by side
  std::uint64_t stride = 0;
  std::uint32_t heads = 0;            // of queries
  const float* cosines = nullptr;     // [rows][dimension]
  const float* sines = nullptr;       // likewise
  const std::uint32_t* at = nullptr;  // of each row: its block, then its slot
};

// Grid: (1, rows).
template <kv_type Type>
struct rotate_and_store_body {
  static constexpr std::uint32_t threads = 256;
  using arguments = rotate_arguments;
  struct shared {};
  struct registers {};

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) { return 2; }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared&,
                               registers&) {
    if (i == 0)
      rotate(a, at);
    else if constexpr (Type == kv_type::f16)
      store_halves(a, at);
    else
      store_bytes(a, at);
  }

  TROUPE_BODY static void rotate(const arguments& a, const place& at) {
    const std::uint32_t dimension = a.store.dimension, half = dimension / 2;
    const float* cosines = a.cosines + std::uint64_t{at.block_y} * dimension;
    const float* sines = a.sines + std::uint64_t{at.block_y} * dimension;
    for (std::uint32_t p = at.thread; p < (a.heads + a.store.heads) * half; p += threads) {
      float* x = a.rows + at.block_y * a.stride + p / half * dimension + p % half * 2;
      const std::uint32_t d = p % half * 2;
      const float first = x[0], second = x[1];
      x[0] = first * cosines[d] + second * sines[d];
      x[1] = second * cosines[d + 1] + first * sines[d + 1];
    }
  }

  TROUPE_BODY static const float* keys_of(const arguments& a, const place& at) {
    return a.rows + at.block_y * a.stride + std::uint64_t{a.heads} * a.store.dimension;
  }

  TROUPE_BODY static void store_halves(const arguments& a, const place& at) {
    const std::uint32_t dimension = a.store.dimension, padded = padded_dimension(dimension);
    const std::uint32_t block = a.at[at.block_y * 2], slot = a.at[at.block_y * 2 + 1];
    const float* keys = keys_of(a, at);
    const float* values = keys + std::uint64_t{a.store.heads} * dimension;
    for (std::uint32_t i = at.thread; i < a.store.heads * padded; i += threads) {
      const std::uint32_t head = i / padded, d = i % padded;
      auto* to_keys = reinterpret_cast<std::uint16_t*>(a.store.keys(Type, block, head));
      auto* to_values = reinterpret_cast<std::uint16_t*>(a.store.values(Type, block, head));
      const bool real = d < dimension;
      if (real) to_keys[d * attention_block + slot] = narrow_to_half(keys[head * dimension + d]);
      to_values[slot * padded + d] = real ? narrow_to_half(values[head * dimension + d]) : 0;
    }
  }

  // A thread for each group of dimensions that share a scale.
  TROUPE_BODY static void store_bytes(const arguments& a, const place& at) {
    const std::uint32_t dimension = a.store.dimension, padded = padded_dimension(dimension);
    const std::uint32_t block = a.at[at.block_y * 2], slot = a.at[at.block_y * 2 + 1];
    const float* keys = keys_of(a, at);
    const float* values = keys + std::uint64_t{a.store.heads} * dimension;
    const std::uint32_t groups = kv_groups(dimension);
    for (std::uint32_t i = at.thread; i < a.store.heads * groups; i += threads) {
      const std::uint32_t head = i / groups, first = i % groups * kv_group;
      const std::uint32_t some = dimension - first < kv_group ? dimension - first : kv_group;
      const std::uint32_t room = padded - first < kv_group ? padded - first : kv_group;
      quantize(keys + head * dimension + first, some, some, a.store.keys(Type, block, head),
               first * attention_block + slot, attention_block, dimension, first, slot);
      quantize(values + head * dimension + first, some, room, a.store.values(Type, block, head),
               slot * padded + first, 1, padded, first, slot);
    }
  }

  // Writes `room` codes `next` bytes apart from `at`, zero from `some` on, and the group's scale.
  TROUPE_BODY static void quantize(const float* x, std::uint32_t some, std::uint32_t room,
                                   std::uint8_t* to, std::uint32_t at, std::uint32_t next,
                                   std::uint32_t width, std::uint32_t first, std::uint32_t slot) {
    float largest = 0;
    bool all_finite = true;
    for (std::uint32_t i = 0; i < some; ++i) {
      const float size = magnitude(x[i]);
      all_finite = all_finite && finite(size);
      largest = size > largest ? size : largest;
    }
    const std::uint16_t half = all_finite ? narrow_to_half(divided(largest, 127.0f)) : kv_scale_nan;
    reinterpret_cast<std::uint16_t*>(
        to + attention_block * width)[first / kv_group * attention_block + slot] = half;
    const float scale = widen_half(half);
    const bool none = scale == 0.0f || !finite(scale);
    const float inverse = none ? 0.0f : divided(1.0f, scale);
    for (std::uint32_t i = 0; i < room; ++i) {
      float code = 0;
      if (!none && i < some) {
        code = x[i] * inverse;
        code = code < -127.0f ? -127.0f : code > 127.0f ? 127.0f : code;
      }
      reinterpret_cast<std::int8_t*>(to)[at + i * next] = static_cast<std::int8_t>(nearest(code));
    }
  }
};

}  // namespace troupe::kernels::cuda
