#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 warns of its own intrinsics' undefined start values.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "kernels/ops/attention_lanes.hpp"
#include "kernels/ops/elementwise_lanes.hpp"
#include "kernels/ops/lanes_avx512.hpp"
#include "kernels/ops/row_ops_variants.hpp"

namespace troupe::kernels {

const elementwise_ops elementwise_avx512 = elementwise_lanes<lanes_avx512>::table;
const attention_ops attention_avx512 =
    attention_lanes<lanes_avx512, kv_f16_lanes<lanes_avx512>>::table;
const attention_ops attention_q8_avx512 =
    attention_lanes<lanes_avx512, kv_q8_lanes<lanes_avx512>>::table;

}  // namespace troupe::kernels
#endif
