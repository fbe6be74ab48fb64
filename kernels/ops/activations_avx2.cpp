// Activation quantization on AVX2, and the table of what this instruction set brings.
#if defined(__x86_64__)
#include "kernels/ops/matmul_avx2.hpp"

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

inline int largest_magnitude(const float* x, int values) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  __m256i largest = _mm256_setzero_si256();
  for (int i = 0; i < values; i += 8)
    largest = _mm256_max_epi32(
        largest,
        _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i)), mask));
  __m128i four =
      _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return _mm_cvtsi128_si32(four);
}

// 16 values; returns the sum of their q. A zero inverse gives zeros even for infinities and NaN.
inline int quantize_16(const float* x, float inverse, std::int8_t* q) {
  const __m256 scale = _mm256_set1_ps(inverse);
  const __m256i keep = _mm256_set1_epi32(inverse == 0 ? 0 : -1);
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const __m256 low = _mm256_round_ps(_mm256_mul_ps(_mm256_loadu_ps(x), scale), nearest);
  const __m256 high = _mm256_round_ps(_mm256_mul_ps(_mm256_loadu_ps(x + 8), scale), nearest);
  const __m256i a = _mm256_and_si256(_mm256_cvtps_epi32(low), keep);
  const __m256i b = _mm256_and_si256(_mm256_cvtps_epi32(high), keep);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), bytes);
  const __m256i sums = _mm256_add_epi32(a, b);
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

}  // namespace

void quantize_by_32_avx2(const float* x, std::uint64_t k, std::int8_t* q, float* d,
                         std::int32_t* sums) {
  for (std::uint64_t b = 0; b < k / 32; ++b, x += 32, q += 32) {
    float inverse;
    d[b * group_rows] = scale_of(largest_magnitude(x, 32), inverse);
    const int first = quantize_16(x, inverse, q);
    sums[b] = first + quantize_16(x + 16, inverse, q + 16);
  }
}

void quantize_by_256_avx2(const float* x, std::uint64_t k, std::int8_t* q, float* d,
                          std::int16_t* sums16, std::int16_t* sums32) {
  for (std::uint64_t b = 0; b < k / k_block; ++b, x += 256, q += 256, sums16 += 16, sums32 += 8) {
    float inverse;
    d[b * group_rows] = scale_of(largest_magnitude(x, 256), inverse);
    std::int16_t sum[16];
    for (int i = 0; i < 16; ++i)
      sum[i] = static_cast<std::int16_t>(quantize_16(x + 16 * i, inverse, q + 16 * i));
    constexpr int order[4] = {0, 2, 1, 3};
    for (int i = 0; i < 16; ++i) sums16[i] = sum[(i & ~3) + order[i & 3]];
    for (int i = 0; i < 8; ++i) {
      const int j = (i & ~3) + order[i & 3];
      sums32[i] = static_cast<std::int16_t>(sum[2 * j] + sum[2 * j + 1]);
    }
  }
}

const matmul_kernels avx2_kernels = {
    .packed = true,
    .f32 = multiply_f32_avx2,
    .f16 = multiply_f16_avx2,
    .bf16 = multiply_bf16_avx2,
    .q8_0 = multiply_q8_0_avx2,
    .q4_0 = multiply_q4_0_avx2,
    .q4_k = multiply_q4_k_avx2,
    .q5_k = multiply_q5_k_avx2,
    .q6_k = multiply_q6_k_avx2,
    .quantize_by_32 = quantize_by_32_avx2,
    .quantize_by_256 = quantize_by_256_avx2,
};

}  // namespace troupe::kernels
#endif
