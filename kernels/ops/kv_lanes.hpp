// How attention_lanes.hpp writes and reads each type of keys and values (attention.hpp), over a
// type of 16 lanes. Both forms have the same members. Includes nothing from std.
#pragma once

#include "kernels/ops/attention.hpp"
#include "kernels/ops/elementwise_lanes.hpp"

namespace troupe::kernels {

template <class L>
struct kv_f16_lanes {
  using vec = typename L::vec;

  static void store(const kv_layer& layer, std::uint32_t block, std::uint32_t slot,
                    const float* keys, const float* values) {
    const std::uint32_t dimension = layer.dimension, padded = padded_dimension(dimension);
    for (std::uint32_t g = 0; g < layer.heads; ++g, keys += dimension, values += dimension) {
      std::uint16_t* to_keys = layer.half_keys(block, g) + slot;
      std::uint16_t* to_values = layer.half_values(block, g) + slot * padded;
      for (std::uint32_t d = 0; d < dimension; d += 16) {
        const std::uint32_t some = dimension - d < 16 ? dimension - d : 16;
        std::uint16_t halves[16];
        L::store_half(halves, elementwise_lanes<L>::load_some(keys + d, some));
        for (std::uint32_t i = 0; i < some; ++i) to_keys[(d + i) * attention_block] = halves[i];
        L::store_half(to_values + d, elementwise_lanes<L>::load_some(values + d, some));
      }
    }
  }

  // The keys of one block and head: dimension d of its 16 positions.
  struct key_block {
    const std::uint16_t* keys;
    void open(const kv_layer& layer, std::uint32_t block, std::uint32_t head) {
      keys = layer.half_keys(block, head);
    }
    void enter_group(std::uint32_t) {}
    vec at(std::uint32_t d) const { return L::load_half(keys + d * attention_block); }
  };

  // The values of one block and head from dimension d on: V vectors of one position.
  template <int V>
  struct value_block {
    const std::uint16_t* values;
    std::uint32_t padded;
    value_block(const kv_layer& layer, std::uint32_t block, std::uint32_t head, std::uint32_t d)
        : values(layer.half_values(block, head) + d), padded(padded_dimension(layer.dimension)) {}
    vec at(std::uint32_t slot, int v) const {
      return L::load_half(values + slot * padded + v * 16);
    }
  };
};

template <class L>
struct kv_q8_lanes {
  using vec = typename L::vec;

  // One group of a token's head, up to kv_group numbers: q in `bytes`, the rest of it zero.
  // Returns the scale's float16 bits.
  static std::uint16_t quantize(const float* x, std::uint32_t some, std::int8_t* bytes) {
    vec part[2] = {L::set(0.0f), L::set(0.0f)};
    vec largest = part[0], wrong = part[0];
    for (std::uint32_t i = 0; i * 16 < some; ++i) {
      part[i] =
          elementwise_lanes<L>::load_some(x + i * 16, some - i * 16 < 16 ? some - i * 16 : 16);
      largest = L::max(L::max(part[i], L::sub(L::set(0.0f), part[i])), largest);
      wrong = L::add(wrong, L::sub(part[i], part[i]));  // NaN where one is not finite
    }
    for (std::uint32_t i = 0; i < kv_group; ++i) bytes[i] = 0;
    const float rest = L::tree_sum(wrong);
    if (rest != rest) return kv_scale_nan;
    std::uint16_t halves[16];
    L::store_half(halves, L::set(L::max_of(largest) / 127.0f));
    const float scale = L::first_of(L::load_half(halves));
    if (!(scale > 0 && scale <= 65504.0f)) return halves[0];
    const vec inverse = L::set(1.0f / scale), most = L::set(127.0f), least = L::set(-127.0f);
    const vec no_fraction = L::set(12582912.0f);  // 1.5 * 2^23: rounds where it is added
    for (std::uint32_t i = 0; i * 16 < some; ++i) {
      const vec cut = L::min(L::max(L::mul(part[i], inverse), least), most);
      float whole[16];
      L::store(whole, L::sub(L::add(cut, no_fraction), no_fraction));
      for (std::uint32_t j = 0; j < 16; ++j) bytes[i * 16 + j] = static_cast<std::int8_t>(whole[j]);
    }
    return halves[0];
  }

  static void store(const kv_layer& layer, std::uint32_t block, std::uint32_t slot,
                    const float* keys, const float* values) {
    const std::uint32_t dimension = layer.dimension, padded = padded_dimension(dimension);
    for (std::uint32_t g = 0; g < layer.heads; ++g, keys += dimension, values += dimension) {
      std::int8_t* to_keys = layer.byte_keys(block, g) + slot;
      std::int8_t* to_values = layer.byte_values(block, g) + slot * padded;
      for (std::uint32_t d = 0; d < dimension; d += kv_group) {
        const std::uint32_t some = dimension - d < kv_group ? dimension - d : kv_group;
        const std::uint32_t stored = padded - d < kv_group ? padded - d : kv_group;
        const std::uint32_t scale_at = d / kv_group * attention_block + slot;
        std::int8_t bytes[kv_group];
        layer.key_scales(block, g)[scale_at] = quantize(keys + d, some, bytes);
        for (std::uint32_t i = 0; i < some; ++i) to_keys[(d + i) * attention_block] = bytes[i];
        layer.value_scales(block, g)[scale_at] = quantize(values + d, some, bytes);
        for (std::uint32_t i = 0; i < stored; ++i) to_values[d + i] = bytes[i];
      }
    }
  }

  struct key_block {
    const std::int8_t* keys;
    const std::uint16_t* scales;
    vec scale;
    void open(const kv_layer& layer, std::uint32_t block, std::uint32_t head) {
      keys = layer.byte_keys(block, head);
      scales = layer.key_scales(block, head);
    }
    void enter_group(std::uint32_t group) {
      scale = L::load_half(scales + group * attention_block);
    }
    vec at(std::uint32_t d) const {
      return L::mul(L::load_bytes(keys + d * attention_block), scale);
    }
  };

  template <int V>
  struct value_block {
    const std::int8_t* values;
    std::uint32_t padded;
    float scales[(V + 1) / 2][attention_block];
    // d is a multiple of kv_group where V > 1.
    value_block(const kv_layer& layer, std::uint32_t block, std::uint32_t head, std::uint32_t d)
        : values(layer.byte_values(block, head) + d), padded(padded_dimension(layer.dimension)) {
      const std::uint16_t* from = layer.value_scales(block, head) + d / kv_group * attention_block;
      for (int g = 0; g < (V + 1) / 2; ++g)
        L::store(scales[g], L::load_half(from + g * attention_block));
    }
    vec at(std::uint32_t slot, int v) const {
      return L::mul(L::load_bytes(values + slot * padded + v * 16), L::set(scales[v / 2][slot]));
    }
  };
};

}  // namespace troupe::kernels
