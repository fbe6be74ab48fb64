// Activation quantization on AVX-512, and the table of what this instruction set brings.
#if defined(__x86_64__)
#include "kernels/ops/matmul_avx512.hpp"

namespace troupe::kernels {
namespace {

// The block's d, and 1 / d (0 where q is to be 0), from the largest |x| as bits: integers order
// floats of one sign and put infinities and NaN above all others.
inline float scale_of(int largest, float& inverse) {
  inverse = 0;
  if (largest >= 0x7f800000) return __builtin_nanf("");
  const float d = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(largest))) / 127.0f;
  if (d < 0x1p-126f) return 0;
  inverse = 1.0f / d;
  return d;
}

inline __m512i magnitude(__m512 v) {
  return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff));
}

// 16 values; the sum of the 16 is added to `sum`. A zero inverse gives zeros even for infinities
// and NaN.
inline __m512i quantize(__m512 v, float inverse, __mmask16 keep, std::int8_t* q) {
  const __m512i rounded =
      _mm512_maskz_cvt_roundps_epi32(keep, _mm512_mul_ps(v, _mm512_set1_ps(inverse)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(rounded));
  return rounded;
}

}  // namespace

void quantize_by_32_avx512(const float* x, std::uint64_t k, std::int8_t* q, float* d,
                           std::int32_t* sums) {
  for (std::uint64_t b = 0; b < k / 32; ++b, x += 32, q += 32) {
    const __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
    float inverse;
    d[b * group_rows] = scale_of(
        _mm512_reduce_max_epi32(_mm512_max_epi32(magnitude(low), magnitude(high))), inverse);
    const auto keep = static_cast<__mmask16>(inverse == 0 ? 0 : 0xffff);
    const __m512i ql = quantize(low, inverse, keep, q);
    const __m512i qh = quantize(high, inverse, keep, q + 16);
    sums[b] = _mm512_reduce_add_epi32(_mm512_add_epi32(ql, qh));
  }
}

void quantize_by_256_avx512(const float* x, std::uint64_t k, std::int8_t* q, float* d,
                            std::int16_t* sums16, std::int16_t* sums32) {
  for (std::uint64_t b = 0; b < k / k_block; ++b, x += 256, q += 256, sums16 += 16, sums32 += 8) {
    __m512 v[16];
    __m512i largest = _mm512_setzero_si512();
    for (int i = 0; i < 16; ++i) {
      v[i] = _mm512_loadu_ps(x + 16 * i);
      largest = _mm512_max_epi32(largest, magnitude(v[i]));
    }
    float inverse;
    d[b * group_rows] = scale_of(_mm512_reduce_max_epi32(largest), inverse);
    const auto keep = static_cast<__mmask16>(inverse == 0 ? 0 : 0xffff);
    std::int16_t sum[16];
    for (int i = 0; i < 16; ++i)
      sum[i] = static_cast<std::int16_t>(
          _mm512_reduce_add_epi32(quantize(v[i], inverse, keep, q + 16 * i)));
    constexpr int order[4] = {0, 2, 1, 3};
    for (int i = 0; i < 16; ++i) sums16[i] = sum[(i & ~3) + order[i & 3]];
    for (int i = 0; i < 8; ++i) {
      const int j = (i & ~3) + order[i & 3];
      sums32[i] = static_cast<std::int16_t>(sum[2 * j] + sum[2 * j + 1]);
    }
  }
}

const matmul_kernels avx512_kernels = {
    .packed = true,
    .f32 = multiply_f32_avx512,
    .f16 = multiply_f16_avx512,
    .bf16 = multiply_bf16_avx512,
    .q8_0 = multiply_q8_0_avx512,
    .q4_0 = multiply_q4_0_avx512,
    .q4_k = multiply_q4_k_avx512,
    .q5_k = multiply_q5_k_avx512,
    .q6_k = multiply_q6_k_avx512,
    .quantize_by_32 = quantize_by_32_avx512,
    .quantize_by_256 = quantize_by_256_avx512,
};

}  // namespace troupe::kernels
#endif
