// elementwise.hpp over a type of 16 lanes. Includes nothing from std, so that each instruction set
// can compile it alone.
#pragma once

#include "kernels/ops/elementwise.hpp"

namespace troupe::kernels {

template <class L>
struct elementwise_lanes {
  using vec = typename L::vec;

  static vec load_some(const float* p, std::uint64_t count) {
    float buffer[16] = {};
    for (std::uint64_t i = 0; i < count; ++i) buffer[i] = p[i];
    return L::load(buffer);
  }
  static void store_some(float* p, const vec& a, std::uint64_t count) {
    float buffer[16];
    L::store(buffer, a);
    for (std::uint64_t i = 0; i < count; ++i) p[i] = buffer[i];
  }

  static vec exponential(const vec& input) {
    const vec x = L::min(L::set(exp_largest), input);
    const vec z = L::fma(x, L::set(exp_log2e), L::set(exp_round));
    const vec n = L::sub(z, L::set(exp_round));
    vec r = L::fma(n, L::set(-exp_ln2_high), x);
    r = L::fma(n, L::set(-exp_ln2_low), r);
    vec p = L::set(exp_terms[exp_term_count - 1]);
    for (int i = exp_term_count - 2; i >= 0; --i) p = L::fma(p, r, L::set(exp_terms[i]));
    const vec y = L::add(L::fma(p, L::mul(r, r), r), L::set(1.0f));
    return L::zero_below(input, exp_smallest, L::scale(y, z));
  }

  static void rms_norm(const float* x, const float* weight, std::uint64_t n, float epsilon,
                       float* y) {
    vec squares = L::set(0.0f);
    std::uint64_t i = 0;
    for (; i + 16 <= n; i += 16) {
      const vec a = L::load(x + i);
      squares = L::fma(a, a, squares);
    }
    if (i < n) {
      const vec a = load_some(x + i, n - i);
      squares = L::fma(a, a, squares);
    }
    const float mean = L::tree_sum(squares) / static_cast<float>(n) + epsilon;
    const vec scale = L::div(L::set(1.0f), L::sqrt(L::set(mean)));
    for (i = 0; i + 16 <= n; i += 16)
      L::store(y + i, L::mul(L::mul(L::load(x + i), scale), L::load(weight + i)));
    if (i < n)
      store_some(y + i,
                 L::mul(L::mul(load_some(x + i, n - i), scale), load_some(weight + i, n - i)),
                 n - i);
  }

  static void add(float* x, const float* y, std::uint64_t n) {
    std::uint64_t i = 0;
    for (; i + 16 <= n; i += 16) L::store(x + i, L::add(L::load(x + i), L::load(y + i)));
    for (; i < n; ++i) x[i] += y[i];
  }

  static vec silu(const vec& g, const vec& up) {
    const vec e = exponential(L::mul(g, L::set(-1.0f)));
    return L::mul(L::div(g, L::add(L::set(1.0f), e)), up);
  }
  static void silu_multiply(float* gate, const float* up, std::uint64_t n) {
    std::uint64_t i = 0;
    for (; i + 16 <= n; i += 16) L::store(gate + i, silu(L::load(gate + i), L::load(up + i)));
    if (i < n)
      store_some(gate + i, silu(load_some(gate + i, n - i), load_some(up + i, n - i)), n - i);
  }

  static vec turn(const vec& x, const vec& cosines, const vec& sines) {
    return L::add(L::mul(x, cosines), L::mul(L::swap_pairs(x), sines));
  }
  static void rotate(float* heads, std::uint64_t count, std::uint64_t dimension,
                     const float* cosines, const float* sines) {
    for (std::uint64_t h = 0; h < count; ++h) {
      float* x = heads + h * dimension;
      std::uint64_t i = 0;
      for (; i + 16 <= dimension; i += 16)
        L::store(x + i, turn(L::load(x + i), L::load(cosines + i), L::load(sines + i)));
      const std::uint64_t rest = dimension - i;
      if (rest > 0)
        store_some(
            x + i,
            turn(load_some(x + i, rest), load_some(cosines + i, rest), load_some(sines + i, rest)),
            rest);
    }
  }

  static float largest(const float* x, std::uint64_t n) {
    vec best = L::set(x[0]);
    std::uint64_t i = 0;
    for (; i + 16 <= n; i += 16) best = L::max(best, L::load(x + i));
    float result = L::max_of(best);
    for (; i < n; ++i) result = x[i] > result ? x[i] : result;
    return result;
  }

  static double exponentials(const float* x, std::uint64_t n, float shift, float factor,
                             float* out) {
    const vec moved = L::set(shift), times = L::set(factor);
    double sum = 0;
    for (std::uint64_t begin = 0; begin < n; begin += exponential_sum_block) {
      const std::uint64_t end =
          n - begin < exponential_sum_block ? n : begin + exponential_sum_block;
      vec lanes = L::set(0.0f);
      std::uint64_t i = begin;
      for (; i + 16 <= end; i += 16) {
        const vec e = exponential(L::mul(L::sub(L::load(x + i), moved), times));
        lanes = L::add(lanes, e);
        if (out != nullptr) L::store(out + i, e);
      }
      if (i < end) {
        const std::uint32_t rest = static_cast<std::uint32_t>(end - i);
        const vec e = exponential(L::mul(L::sub(load_some(x + i, rest), moved), times));
        lanes = L::add(lanes, L::first(e, rest, 0.0f));
        if (out != nullptr) store_some(out + i, e, rest);
      }
      sum += L::tree_sum(lanes);
    }
    return sum;
  }

  static constexpr elementwise_ops table{rms_norm, add,     silu_multiply,
                                         rotate,   largest, exponentials};
};

}  // namespace troupe::kernels
