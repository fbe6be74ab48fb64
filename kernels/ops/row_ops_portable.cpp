#include "kernels/ops/attention_lanes.hpp"
#include "kernels/ops/elementwise_lanes.hpp"
#include "kernels/ops/lanes_portable.hpp"
#include "kernels/ops/row_ops_variants.hpp"

namespace troupe::kernels {

const elementwise_ops elementwise_portable = elementwise_lanes<lanes_portable>::table;
const attention_ops attention_portable =
    attention_lanes<lanes_portable, kv_f16_lanes<lanes_portable>>::table;
const attention_ops attention_q8_portable =
    attention_lanes<lanes_portable, kv_q8_lanes<lanes_portable>>::table;

}  // namespace troupe::kernels
