#if defined(__x86_64__)
#include "kernels/ops/attention_lanes.hpp"
#include "kernels/ops/elementwise_lanes.hpp"
#include "kernels/ops/lanes_avx2.hpp"
#include "kernels/ops/row_ops_variants.hpp"

namespace troupe::kernels {

const elementwise_ops elementwise_avx2 = elementwise_lanes<lanes_avx2>::table;
const attention_ops attention_avx2 = attention_lanes<lanes_avx2, kv_f16_lanes<lanes_avx2>>::table;
const attention_ops attention_q8_avx2 = attention_lanes<lanes_avx2, kv_q8_lanes<lanes_avx2>>::table;

}  // namespace troupe::kernels
#endif
