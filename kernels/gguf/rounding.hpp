// Rounding to the nearest whole number, ties to even, without a library call: |value| < 2^22.
#pragma once

namespace troupe::kernels {

// Adding 1.5 * 2^23 leaves no fraction bits in a float; taking it away again leaves the rounded
// value.
inline float nearest_whole(float value) {
  return (value + 12582912.0F) - 12582912.0F;
}

}  // namespace troupe::kernels
