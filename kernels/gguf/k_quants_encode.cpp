// How the encoder chooses: each group tries a ladder of scales, rounds its values to codes, fits
// scale and low to those codes by weighted least squares, and keeps the fit with the least weighted
// error. The groups' scales are then rounded to their few bits, the codes are taken again, and the
// block's own d (and dmin) are fitted once more to what came out. Larger values weigh more, since
// an output's error grows with them.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/gguf/k_quants.hpp"
#include "kernels/gguf/rounding.hpp"
#include "kernels/gguf/row_codec.hpp"

namespace troupe::kernels::k_quants {
namespace {

// Four sums side by side in a fixed order: compilers make vector code of it that gives the same
// bits everywhere.
using lanes = float __attribute__((vector_size(16)));
constexpr int lane_count = 4;

lanes load(const float* from) {
  lanes value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

float total(lanes value) {
  return (value[0] + value[2]) + (value[1] + value[3]);
}

lanes clamp_whole(lanes value, float low, float high) {
  const lanes rounded = (value + 12582912.0F) - 12582912.0F;
  const lanes floor = lanes{} + low;
  const lanes ceiling = lanes{} + high;
  const lanes raised = rounded < floor ? floor : rounded;
  return raised > ceiling ? ceiling : raised;
}

void store_half(std::byte* to, std::uint16_t bits) {
  std::memcpy(to, &bits, sizeof bits);
}

// value ~ scale * code - low, low >= 0, scale >= 0.
struct affine_fit {
  float scale = 0;
  float low = 0;
  float error = 0;
};

template <int Count>
struct group_sums {
  float weight = 0, x = 0, xx = 0;
  explicit group_sums(const float* values, const float* weights) {
    lanes w{}, wx{}, wxx{};
    for (int i = 0; i < Count; i += lane_count) {
      const lanes v = load(values + i);
      const lanes weighted = load(weights + i) * v;
      w += load(weights + i);
      wx += weighted;
      wxx += weighted * v;
    }
    weight = total(w);
    x = total(wx);
    xx = total(wxx);
  }
};

struct code_sums {
  float q = 0, qq = 0, xq = 0;
};

template <int Count>
code_sums round_codes(const float* values, const float* weights, float inverse, float low,
                      float code_min, float code_max) {
  lanes wq{}, wqq{}, wxq{};
  for (int i = 0; i < Count; i += lane_count) {
    const lanes v = load(values + i);
    const lanes code = clamp_whole((v + low) * inverse, code_min, code_max);
    const lanes weighted = load(weights + i) * code;
    wq += weighted;
    wqq += weighted * code;
    wxq += weighted * v;
  }
  return {total(wq), total(wqq), total(wxq)};
}

// Scale and low that fit the codes best, low held at zero where the free fit wants it negative.
affine_fit fit_affine(const group_sums<32>& all, const code_sums& codes) {
  affine_fit fit;
  const float determinant = all.weight * codes.qq - codes.q * codes.q;
  if (determinant > 0) {
    fit.scale = (all.weight * codes.xq - all.x * codes.q) / determinant;
    fit.low = (codes.q * codes.xq - codes.qq * all.x) / determinant;
  }
  if (!(determinant > 0) || fit.low < 0) {
    fit.low = 0;
    fit.scale = codes.qq > 0 ? codes.xq / codes.qq : 0;
  }
  if (fit.scale < 0) fit.scale = 0;
  const float s = fit.scale;
  const float m = fit.low;
  fit.error = all.xx + s * (s * codes.qq - 2 * codes.xq - 2 * m * codes.q) +
              m * (2 * all.x + m * all.weight);
  return fit;
}

affine_fit search_affine(const float* values, const float* weights, float code_max) {
  const group_sums<32> all(values, weights);
  const float lowest = std::min(*std::min_element(values, values + 32), 0.0F);
  const float highest = *std::max_element(values, values + 32);
  affine_fit best{0, -lowest, 0};
  best.error = all.xx + best.low * (2 * all.x + best.low * all.weight);
  if (!(highest > lowest)) return best;
  constexpr int steps = 20;
  for (int step = 0; step <= steps; ++step) {
    const float reach = code_max - 1.0F + 0.1F * static_cast<float>(step);
    const float inverse = reach / (highest - lowest);
    if (!std::isfinite(inverse)) break;
    affine_fit fit =
        fit_affine(all, round_codes<32>(values, weights, inverse, -lowest, 0, code_max));
    if (fit.error < best.error) best = fit;
  }
  return best;
}

struct affine_block {
  std::uint16_t d = 0, dmin = 0;
  std::array<int, 8> scales{}, lows{};
  std::array<std::uint8_t, block_elements> codes{};
};

// Codes of every group under the block's present d and dmin; the weighted error that they leave.
float take_codes(const float* values, const float* weights, float code_max, affine_block& block) {
  const float d = half_to_float(block.d);
  const float dmin = half_to_float(block.dmin);
  lanes error{};
  for (std::size_t group = 0; group < 8; ++group) {
    const float scale = d * static_cast<float>(block.scales[group]);
    const float low = dmin * static_cast<float>(block.lows[group]);
    const float inverse = scale > 0 ? 1.0F / scale : 0.0F;
    for (std::size_t i = 32 * group; i < 32 * group + 32; i += lane_count) {
      const lanes v = load(values + i);
      const lanes code = clamp_whole((v + low) * inverse, 0, code_max);
      const lanes miss = v - (scale * code - low);
      error += load(weights + i) * miss * miss;
      for (std::size_t lane = 0; lane < lane_count; ++lane)
        block.codes[i + lane] = static_cast<std::uint8_t>(code[lane]);
    }
  }
  return total(error);
}

// d and dmin that fit the block's codes, scales and lows best; false where they do not determine
// both.
bool refit_block(const float* values, const float* weights, affine_block& block) {
  float aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
  for (std::size_t i = 0; i < block_elements; ++i) {
    const auto a = static_cast<float>(block.scales[i / 32] * block.codes[i]);
    const auto b = static_cast<float>(-block.lows[i / 32]);
    const float w = weights[i];
    aa += w * a * a;
    ab += w * a * b;
    bb += w * b * b;
    ax += w * a * values[i];
    bx += w * b * values[i];
  }
  const float determinant = aa * bb - ab * ab;
  float d = 0, dmin = 0;
  if (determinant > 0) {
    d = (ax * bb - bx * ab) / determinant;
    dmin = (bx * aa - ax * ab) / determinant;
  } else if (aa > 0) {
    d = ax / aa;
  }
  if (!(d > 0) || !(dmin >= 0) || d > 65000.0F || dmin > 65000.0F) return false;
  block.d = float_to_half(d);
  block.dmin = float_to_half(dmin);
  return true;
}

// The whole multiple of a rounded unit that is nearest: units that are small halves are rounded
// coarsely, so codes are taken against what will be stored.
int nearest_multiple(float value, float unit, float low, float high) {
  if (unit == 0) return 0;
  return static_cast<int>(nearest_whole(std::clamp(value / unit, low, high)));
}

int six_bits(float value, float unit) {
  return nearest_multiple(value, unit, 0, 63);
}

void weigh(const float* values, int count, float* weights) {
  lanes squares{};
  for (int i = 0; i < count; i += lane_count) squares += load(values + i) * load(values + i);
  const float spread = std::sqrt(total(squares) / static_cast<float>(count));
  for (int i = 0; i < count; ++i) weights[i] = spread + std::fabs(values[i]);
}

affine_block choose_affine(const float* values, float code_max) {
  std::array<float, block_elements> weights;
  std::array<affine_fit, 8> fits;
  float scale_max = 0, low_max = 0;
  for (std::size_t group = 0; group < 8; ++group) {
    weigh(values + 32 * group, 32, weights.data() + 32 * group);
    fits[group] = search_affine(values + 32 * group, weights.data() + 32 * group, code_max);
    scale_max = std::max(scale_max, fits[group].scale);
    low_max = std::max(low_max, fits[group].low);
  }
  affine_block best;
  best.d = float_to_half(scale_max / 63.0F);
  best.dmin = float_to_half(low_max / 63.0F);
  for (std::size_t group = 0; group < 8; ++group) {
    best.scales[group] = six_bits(fits[group].scale, half_to_float(best.d));
    best.lows[group] = six_bits(fits[group].low, half_to_float(best.dmin));
  }
  float error = take_codes(values, weights.data(), code_max, best);
  for (int round = 0; round < 2; ++round) {
    affine_block trial = best;
    if (!refit_block(values, weights.data(), trial)) break;
    const float trial_error = take_codes(values, weights.data(), code_max, trial);
    if (!(trial_error < error)) break;
    best = trial;
    error = trial_error;
  }
  return best;
}

void pack_groups(const affine_block& block, std::byte* packed) {
  std::array<int, 12> out{};
  for (std::size_t group = 0; group < 8; ++group) {
    const int scale = block.scales[group];
    const int low = block.lows[group];
    if (group < 4) {
      out[group] |= scale;
      out[group + 4] |= low;
    } else {
      out[group + 4] = (scale & 15) | ((low & 15) << 4);
      out[group - 4] |= (scale >> 4) << 6;
      out[group] |= (low >> 4) << 6;
    }
  }
  for (std::size_t i = 0; i < out.size(); ++i) packed[i] = static_cast<std::byte>(out[i]);
}

// fifth: null for q4_k.
void pack_affine(const affine_block& block, std::byte* out, std::byte* fifth, std::byte* nibbles) {
  store_half(out, block.d);
  store_half(out + 2, block.dmin);
  pack_groups(block, out + 4);
  for (std::size_t i = 0; i < 128; ++i) {
    const std::size_t first = i / 32 * 64 + i % 32;
    nibbles[i] =
        static_cast<std::byte>((block.codes[first] & 15) | ((block.codes[first + 32] & 15) << 4));
  }
  if (!fifth) return;
  for (std::size_t i = 0; i < 32; ++i) {
    int bits = 0;
    for (std::size_t group = 0; group < 8; ++group)
      bits |= (block.codes[32 * group + i] >> 4) << group;
    fifth[i] = static_cast<std::byte>(bits);
  }
}

// value ~ scale * code with code in -32 .. 31: the scale that leaves the least weighted error.
float search_symmetric(const float* values, const float* weights) {
  float extreme = 0;
  for (int i = 0; i < 16; ++i)
    if (std::fabs(values[i]) > std::fabs(extreme)) extreme = values[i];
  float best_scale = 0;
  float best_gain = 0;
  constexpr int steps = 9;
  for (int step = -steps; step <= steps; ++step) {
    const float inverse = -(32.0F + 0.1F * static_cast<float>(step)) / extreme;
    if (!std::isfinite(inverse)) break;
    const code_sums codes = round_codes<16>(values, weights, inverse, 0, -32, 31);
    if (!(codes.qq > 0)) continue;
    const float gain = codes.xq * codes.xq / codes.qq;
    if (gain > best_gain) {
      best_gain = gain;
      best_scale = codes.xq / codes.qq;
    }
  }
  return best_scale;
}

struct symmetric_block {
  std::uint16_t d = 0;
  std::array<int, 16> scales{};
  std::array<std::int8_t, block_elements> codes{};
};

float take_codes(const float* values, const float* weights, symmetric_block& block) {
  const float d = half_to_float(block.d);
  lanes error{};
  for (std::size_t group = 0; group < 16; ++group) {
    const float scale = d * static_cast<float>(block.scales[group]);
    const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
    for (std::size_t i = 16 * group; i < 16 * group + 16; i += lane_count) {
      const lanes v = load(values + i);
      const lanes code = clamp_whole(v * inverse, -32, 31);
      const lanes miss = v - scale * code;
      error += load(weights + i) * miss * miss;
      for (std::size_t lane = 0; lane < lane_count; ++lane)
        block.codes[i + lane] = static_cast<std::int8_t>(code[lane]);
    }
  }
  return total(error);
}

bool refit_block(const float* values, const float* weights, symmetric_block& block) {
  float aa = 0, ax = 0;
  for (std::size_t i = 0; i < block_elements; ++i) {
    const auto a = static_cast<float>(block.scales[i / 16] * block.codes[i]);
    aa += weights[i] * a * a;
    ax += weights[i] * a * values[i];
  }
  const float d = aa > 0 ? ax / aa : 0.0F;
  if (!(std::fabs(d) > 0) || std::fabs(d) > 65000.0F) return false;
  block.d = float_to_half(d);
  return true;
}

symmetric_block choose_symmetric(const float* values) {
  std::array<float, block_elements> weights;
  std::array<float, 16> found;
  float extreme = 0;
  for (std::size_t group = 0; group < 16; ++group) {
    weigh(values + 16 * group, 16, weights.data() + 16 * group);
    found[group] = search_symmetric(values + 16 * group, weights.data() + 16 * group);
    if (std::fabs(found[group]) > std::fabs(extreme)) extreme = found[group];
  }
  symmetric_block best;
  if (extreme == 0) return best;
  best.d = float_to_half(extreme / -128.0F);
  for (std::size_t group = 0; group < 16; ++group)
    best.scales[group] = nearest_multiple(found[group], half_to_float(best.d), -128, 127);
  float error = take_codes(values, weights.data(), best);
  for (int round = 0; round < 2; ++round) {
    symmetric_block trial = best;
    if (!refit_block(values, weights.data(), trial)) break;
    const float trial_error = take_codes(values, weights.data(), trial);
    if (!(trial_error < error)) break;
    best = trial;
    error = trial_error;
  }
  return best;
}

}  // namespace

void encode_q4_k(const float* values, std::byte* block) {
  pack_affine(choose_affine(values, 15), block, nullptr, block + 16);
}

void encode_q5_k(const float* values, std::byte* block) {
  pack_affine(choose_affine(values, 31), block, block + 16, block + 48);
}

void encode_q6_k(const float* values, std::byte* block) {
  const symmetric_block chosen = choose_symmetric(values);
  std::array<int, 128> lower{};
  std::array<int, 64> upper{};
  for (std::size_t i = 0; i < block_elements; ++i) {
    const std::size_t half = i / 128;
    const std::size_t run = i % 128 / 32;
    const int code = chosen.codes[i] + 32;
    lower[64 * half + 32 * (run % 2) + i % 32] |= (code & 15) << (run < 2 ? 0 : 4);
    upper[32 * half + i % 32] |= (code >> 4) << (2 * run);
  }
  for (std::size_t i = 0; i < 128; ++i) block[i] = static_cast<std::byte>(lower[i]);
  for (std::size_t i = 0; i < 64; ++i) block[128 + i] = static_cast<std::byte>(upper[i]);
  for (std::size_t i = 0; i < 16; ++i)
    block[192 + i] = static_cast<std::byte>(static_cast<std::int8_t>(chosen.scales[i]));
  store_half(block + 208, chosen.d);
}

}  // namespace troupe::kernels::k_quants
