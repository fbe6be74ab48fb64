// Matrix products for the class `tensor`: weights and rows "on the device", what the order of
// half_product_bodies.hpp makes of them, written a second time and plainly, and how far from the
// true product that may be. Run on the host by unit tests, and on a GPU by tests/cuda.
#pragma once

#include <algorithm>

#include "kernels/backend/cuda/bodies/half_product_bodies.hpp"
#include "tests/unit/kernels/cuda_problems.hpp"

namespace troupe::kernels::testing {

template <class Visit>
void for_each_half_type(Visit visit) {
  for_each_type([&]<tensor_type Type>() {
    if constexpr (Type != tensor_type::f32) visit.template operator()<Type>();
  });
}

// Rows 1, 2 and 3 are zeros, tiny, and one with an infinity (problem); 4 huge, 5 with a NaN, 6 of
// one large value among small ones.
struct half_problem : problem {
  half_problem(tensor_type t, std::uint64_t n_, std::uint64_t k_, std::uint32_t rows_, bool raw)
      : problem(t, n_, k_, rows_, raw), halves(rows * half_width(k) * 2), inverse(rows * 4) {
    const auto row = [&](std::uint32_t m) { return x.data() + m * k; };
    if (rows > 4)
      for (std::uint64_t i = 0; i < k; ++i) row(4)[i] *= 1e30f;
    if (rows > 5) row(5)[k - 1] = std::numeric_limits<float>::quiet_NaN();
    if (rows > 6) row(6)[0] = 1e7f;
    std::copy(x.begin(), x.end(), device_x.as<float>());
    decoded.resize(n * k);
    const std::size_t bytes = file.size() / n;
    for (std::uint64_t i = 0; i < n; ++i)
      decode_row(type, std::span(file).subspan(i * bytes, bytes),
                 std::span(decoded).subspan(i * k, k));
    for (std::uint32_t m = 0; m < rows; ++m)
      for (std::uint64_t i = 0; i < n; ++i) {
        ordered.push_back(in_order(m, i, exponent_of(m)));
        exact.push_back(true_product(m, i));
        bounds.push_back(bound(m, i, exponent_of(m)));
      }
  }

  half_row_arguments row_arguments() const {
    return {.x = device_x.as<float>(),
            .n = k,
            .values = halves.as<std::uint16_t>(),
            .inverse = inverse.as<float>()};
  }
  half_product_arguments arguments(const device_bytes& out, std::uint64_t stride, bool add) const {
    return {.w = matrix,
            .rows = rows,
            .x = halves.as<std::uint16_t>(),
            .inverse = inverse.as<float>(),
            .out = out.as<float>(),
            .out_stride = stride,
            .add = add};
  }

  bool bfloat() const { return type == tensor_type::bf16; }
  float rounded(float value) const {
    return bfloat() ? bfloat_to_float(float_to_bfloat(value)) : half_to_float(float_to_half(value));
  }
  float weight(std::uint64_t i, std::uint64_t at) const {
    return at < k ? rounded(decoded[i * k + at]) : 0.0f;
  }
  bool finite_row(std::uint32_t m) const {
    return std::all_of(x.begin() + static_cast<std::ptrdiff_t>(m * k),
                       x.begin() + static_cast<std::ptrdiff_t>((m + 1) * k),
                       [](float value) { return std::isfinite(value); });
  }
  // The power of two of a row.
  int exponent_of(std::uint32_t m) const {
    if (bfloat()) return 0;
    float largest = 0;
    for (std::uint64_t i = 0; i < k; ++i) largest = std::max(largest, std::abs(x[m * k + i]));
    return largest == 0 ? 126 : std::min(126, 13 - std::ilogb(largest));
  }

  float in_order(std::uint32_t m, std::uint64_t i, int exponent) const {
    if (!bfloat() && !finite_row(m)) return std::numeric_limits<float>::quiet_NaN();
    const std::uint64_t groups = (k + 63) / 64, each = (groups + 7) / 8;
    float total = 0;
    for (std::uint64_t begin = 0; begin < groups; begin += each) {
      float sum = 0;
      for (std::uint64_t group = begin; group < std::min(groups, begin + each); ++group)
        for (std::uint64_t j = 0; j < 4; ++j)
          for (std::uint64_t column = 0; column < 16; ++column) {
            const std::uint64_t sixteen = column % 8 / 2, of = column % 2 + column / 8 * 2;
            const std::uint64_t at = group * 64 + sixteen * 16 + j * 4 + of;
            const float value = at < k ? rounded(std::ldexp(x[m * k + at], exponent)) : 0.0f;
            sum = std::fma(weight(i, at), value, sum);
          }
      total = total + sum;
    }
    return std::ldexp(total, -exponent);
  }

  // |what is computed - the true product| is at most this: a value of x is rounded by half a unit
  // in its last place or half the smallest subnormal, a decoded weight by half a unit of float16,
  // and each of k additions, the slices' and the last one loses at most a unit in float's last
  // place (a tensor core cuts off where the processor rounds) of a sum no larger than all
  // products' magnitudes.
  double bound(std::uint32_t m, std::uint64_t i, int exponent) const {
    const double ux = bfloat() ? 0x1p-8 : 0x1p-11, uw = quantized(type) ? 0x1p-11 : 0;
    const double tiny_x = bfloat() ? 0x1p-134 : std::ldexp(1.0, -25 - exponent);
    const double tiny_w = quantized(type) ? 0x1p-25 : 0;
    const double adds = static_cast<double>(half_width(k) + 10) * 0x1p-23;
    double products = 0, xs = 0, ws = 0;
    for (std::uint64_t at = 0; at < k; ++at) {
      const double a = std::abs(x[m * k + at]), b = std::abs(decoded[i * k + at]);
      products += a * b;
      xs += a;
      ws += b;
    }
    const double rounding = (1 + ux) * (1 + uw) - 1;
    return products * rounding + 1.01 * (ws * tiny_x + xs * tiny_w + products * adds) + 0x1p-149;
  }

  // run(arguments) multiplies what was prepared before; equal_bits: on the host, where the order
  // within a product is known.
  template <class Run>
  std::vector<float> check(const std::string& name, Run run, bool equal_bits) {
    std::vector<float> results(rows * n);
    for (const bool add : {false, true}) {
      const std::uint64_t stride = n + 3;
      const device_bytes out(
          std::vector<float>(rows * stride, add ? 0.5f : std::bit_cast<float>(canary)));
      run(arguments(out, stride, add));
      std::size_t wrong = 0, far = 0;
      for (std::uint32_t m = 0; m < rows; ++m) {
        const bool finite = finite_row(m);
        for (std::uint64_t i = 0; i < stride; ++i) {
          const float got = out.as<float>()[m * stride + i];
          if (i >= n) {
            wrong += std::bit_cast<std::uint32_t>(got) ==
                             std::bit_cast<std::uint32_t>(add ? 0.5f : std::bit_cast<float>(canary))
                         ? 0
                         : 1;
            continue;
          }
          const std::uint64_t at = m * n + i;
          if (equal_bits && !same(got, add ? 0.5f + ordered[at] : ordered[at])) ++wrong;
          if (add) continue;
          results[at] = got;
          if (finite ? !(std::abs(got - exact[at]) <= bounds[at]) : std::isfinite(got)) ++far;
        }
      }
      INFO(name << " " << row_of(type).name << " n=" << n << " k=" << k << " rows=" << rows
                << " add=" << add);
      CHECK(wrong == 0);
      CHECK(far == 0);
      CHECK(out.guarded());
    }
    CHECK(memory.guarded());
    CHECK(halves.guarded());
    CHECK(inverse.guarded());
    return results;
  }

  double true_product(std::uint32_t m, std::uint64_t i) const {
    double sum = 0;
    for (std::uint64_t at = 0; at < k; ++at)
      sum += static_cast<double>(x[m * k + at]) * decoded[i * k + at];
    return sum;
  }

  std::vector<float> decoded;  // the weights' values
  std::vector<float> ordered;  // what every output must be on the host
  std::vector<double> exact, bounds;
  device_bytes halves, inverse;
};

}  // namespace troupe::kernels::testing
