#include "kernels/ops/rope.hpp"

#include <cassert>

#include "kernels/ops/exact_math.hpp"

namespace troupe::kernels {

rope_angles::rope_angles(std::uint32_t dimension, double base, double linear_scale,
                         std::span<const float> factors) {
  assert(dimension % 2 == 0 && (factors.empty() || factors.size() == dimension / 2));
  const double log_base = exact_log(base);
  for (std::uint32_t i = 0; i < dimension / 2; ++i) {
    const double frequency = exact_exp(-(2.0 * i / dimension) * log_base);
    step_.push_back(frequency / linear_scale / (factors.empty() ? 1.0 : double{factors[i]}));
  }
}

void rope_angles::fill(std::uint32_t position, float* cosines, float* sines) const {
  for (std::size_t i = 0; i < step_.size(); ++i) {
    const sine_cosine turn = exact_sine_cosine(position * step_[i]);
    cosines[2 * i] = cosines[2 * i + 1] = static_cast<float>(turn.cosine);
    sines[2 * i] = static_cast<float>(-turn.sine);
    sines[2 * i + 1] = static_cast<float>(turn.sine);
  }
}

}  // namespace troupe::kernels
