// The row operations of every instruction set that is compiled in. Plain data.
#pragma once

#include "kernels/ops/attention.hpp"
#include "kernels/ops/elementwise.hpp"

namespace troupe::kernels {

extern const elementwise_ops elementwise_reference, elementwise_portable, elementwise_avx2,
    elementwise_avx512;
extern const attention_ops attention_reference, attention_portable, attention_avx2,
    attention_avx512;
extern const attention_ops attention_q8_reference, attention_q8_portable, attention_q8_avx2,
    attention_q8_avx512;

}  // namespace troupe::kernels
