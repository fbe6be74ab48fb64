// What the AVX2 files share. Private; included only by files compiled for that instruction set.
#pragma once

#include <immintrin.h>

#include "kernels/ops/matmul_layout.hpp"

namespace troupe::kernels {

multiply_function multiply_f32_avx2, multiply_f16_avx2, multiply_bf16_avx2;
multiply_function multiply_q8_0_avx2, multiply_q4_0_avx2, multiply_q4_k_avx2, multiply_q5_k_avx2,
    multiply_q6_k_avx2;
quantize_by_32_function quantize_by_32_avx2;
quantize_by_256_function quantize_by_256_avx2;

}  // namespace troupe::kernels
