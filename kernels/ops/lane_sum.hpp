// The two primitives of numerics class cpu-1 in scalar form, for references and tests.
#pragma once

namespace troupe::kernels {

// 16 lanes added 8 + 8, 4 + 4, 2 + 2, 1 + 1 (lane i with lane i + half).
float tree_sum(const float* lanes);
// exp as elementwise.hpp defines it.
float reference_exp(float x);

}  // namespace troupe::kernels
