// Rotary position embedding: the angles of every pair, and the table rows that
// elementwise_ops::rotate reads.
//
// Pair i of a head of `dimension` turns by angle = (position / linear_scale) * base^(-2i /
// dimension) / factor[i], all in double with exact_math.hpp, rounded to float only as sine and
// cosine: so the table is the same on every machine, and exact where others compute the angle in
// float. Pairs are neighbours (2i, 2i + 1), as GGUF orders llama weights.
//
// Threading: immutable after construction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace troupe::kernels {

class rope_angles {
 public:
  // factors: empty, or one for each pair.
  rope_angles(std::uint32_t dimension, double base, double linear_scale,
              std::span<const float> factors);

  // Writes `dimension` cosines and as many sines of one position, in the form that rotate() reads.
  void fill(std::uint32_t position, float* cosines, float* sines) const;

 private:
  std::vector<double> step_;  // angle of each pair at position 1
};

}  // namespace troupe::kernels
