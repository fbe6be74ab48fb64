// 16 lanes in two AVX2 registers. The members are those of lanes_portable.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace troupe::kernels {

struct lanes_avx2 {
  struct vec {
    __m256 low, high;
  };
  static constexpr int narrow_blocks = 2, wide_blocks = 1, wide_rows = 4, value_rows = 4,
                       value_vectors = 1;

  static vec set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static void store(float* p, vec a) {
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
  }
  static vec load_half(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
            _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
  }
  static vec load_bytes(const std::int8_t* p) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    const __m128i high = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(low)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high))};
  }
  static void store_half(std::uint16_t* p, vec a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_cvtps_ph(a.low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8),
                     _mm256_cvtps_ph(a.high, _MM_FROUND_TO_NEAREST_INT));
  }
  static vec fma(vec a, vec b, vec c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static vec add(vec a, vec b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  static vec sub(vec a, vec b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  static vec mul(vec a, vec b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  static vec div(vec a, vec b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
  }
  static vec sqrt(vec a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
  static vec min(vec a, vec b) {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
  }
  static vec max(vec a, vec b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
  }
  static __m256 zero_below(__m256 x, float limit, __m256 y) {
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_LT_OQ), y);
  }
  static vec zero_below(vec x, float limit, vec y) {
    return {zero_below(x.low, limit, y.low), zero_below(x.high, limit, y.high)};
  }
  static __m256 scale(__m256 y, __m256 z) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(y), _mm256_slli_epi32(_mm256_castps_si256(z), 23)));
  }
  static vec scale(vec y, vec z) { return {scale(y.low, z.low), scale(y.high, z.high)}; }
  static vec first(vec a, std::uint32_t count, float fill) {
    const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const int kept = static_cast<int>(count);
    const __m256 f = _mm256_set1_ps(fill);
    const __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(kept), index);
    const __m256i high = _mm256_cmpgt_epi32(_mm256_set1_epi32(kept - 8), index);
    return {_mm256_blendv_ps(f, a.low, _mm256_castsi256_ps(low)),
            _mm256_blendv_ps(f, a.high, _mm256_castsi256_ps(high))};
  }
  static vec swap_pairs(vec a) {
    return {_mm256_permute_ps(a.low, 0xb1), _mm256_permute_ps(a.high, 0xb1)};
  }
  static float first_of(vec a) { return _mm256_cvtss_f32(a.low); }
  static float tree_sum(vec a) {
    const __m256 eight = _mm256_add_ps(a.low, a.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float max_of(vec a) {
    const __m256 eight = _mm256_max_ps(a.low, a.high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
};

}  // namespace troupe::kernels
