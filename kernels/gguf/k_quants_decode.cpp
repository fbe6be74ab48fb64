#include <cstdint>
#include <cstring>

#include "kernels/gguf/k_quants.hpp"
#include "kernels/gguf/row_codec.hpp"

namespace troupe::kernels::k_quants {
namespace {

float load_half(const std::byte* from) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, from, sizeof bits);
  return half_to_float(bits);
}

int at(const std::byte* bytes, int index) {
  return std::to_integer<int>(bytes[index]);
}

struct group_codes {
  int scale;
  int low;
};

// Groups 0-3 have their six bits in bytes 0-3 (scale) and 4-7 (low); groups 4-7 have four bits in
// bytes 8-11 and their upper two in the top bits of the first eight bytes.
group_codes unpack_group(const std::byte* packed, int group) {
  if (group < 4) return {at(packed, group) & 63, at(packed, group + 4) & 63};
  return {(at(packed, group + 4) & 15) | ((at(packed, group - 4) >> 6) << 4),
          (at(packed, group + 4) >> 4) | ((at(packed, group) >> 6) << 4)};
}

// fifth: null for q4_k.
void decode_groups(const std::byte* block, const std::byte* fifth, const std::byte* nibbles,
                   float* out) {
  const float d = load_half(block);
  const float dmin = load_half(block + 2);
  for (int group = 0; group < 8; ++group) {
    const group_codes codes = unpack_group(block + 4, group);
    const float scale = d * static_cast<float>(codes.scale);
    const float low = dmin * static_cast<float>(codes.low);
    for (int i = 0; i < 32; ++i) {
      const int pair = at(nibbles, 32 * (group / 2) + i);
      int code = group % 2 == 0 ? pair & 15 : pair >> 4;
      if (fifth) code |= ((at(fifth, i) >> group) & 1) << 4;
      out[32 * group + i] = scale * static_cast<float>(code) - low;
    }
  }
}

}  // namespace

void decode_q4_k(const std::byte* block, float* out) {
  decode_groups(block, nullptr, block + 16, out);
}

void decode_q5_k(const std::byte* block, float* out) {
  decode_groups(block, block + 16, block + 48, out);
}

void decode_q6_k(const std::byte* block, float* out) {
  const std::byte* lower = block;
  const std::byte* upper = block + 128;
  const std::byte* scales = block + 192;
  const float d = load_half(block + 208);
  for (int i = 0; i < block_elements; ++i) {
    // Each half of 128 has four runs of 32: nibbles of runs 0 and 1 are low, of 2 and 3 high; bit
    // pair `run` of upper.
    const int half = i / 128;
    const int run = i % 128 / 32;
    const int nibble = at(lower, 64 * half + 32 * (run % 2) + i % 32) >> (run < 2 ? 0 : 4);
    const int pair = at(upper, 32 * half + i % 32) >> (2 * run);
    const int code = (nibble & 15) | ((pair & 3) << 4);
    const int scale = static_cast<std::int8_t>(scales[i / 16]);
    out[i] = d * static_cast<float>(scale) * static_cast<float>(code - 32);
  }
}

}  // namespace troupe::kernels::k_quants
