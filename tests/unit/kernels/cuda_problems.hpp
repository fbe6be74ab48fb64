// Matrix products for the CUDA kernels: weights and rows "on the device", and what the CPU's
// reference makes of them. Run on the host by unit tests, and on a GPU by tests/cuda.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/backend/cuda/bodies/product_bodies.hpp"
#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/matmul.hpp"
#include "tests/unit/kernels/cuda_emulation.hpp"

namespace troupe::kernels::testing {

using namespace troupe::kernels::cuda;

inline constexpr std::uint32_t canary = 0x7fc0babe;  // a NaN that no kernel makes

inline bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b) && std::bit_cast<std::uint32_t>(a) != canary);
}

template <class Visit>
void for_each_type(Visit visit) {
  visit.template operator()<tensor_type::f32>();
  visit.template operator()<tensor_type::f16>();
  visit.template operator()<tensor_type::bf16>();
  visit.template operator()<tensor_type::q8_0>();
  visit.template operator()<tensor_type::q4_0>();
  visit.template operator()<tensor_type::q4_k>();
  visit.template operator()<tensor_type::q5_k>();
  visit.template operator()<tensor_type::q6_k>();
}

// Random weights (encoded values, or raw bytes with finite scales, so that every code and scale
// occurs) on "the device", random rows of x, and what the CPU's reference makes of them.
struct problem {
  problem(tensor_type t, std::uint64_t n_, std::uint64_t k_, std::uint32_t rows_, bool raw)
      : type(t),
        n(n_),
        k(k_),
        rows(rows_),
        file(n * (k / row_of(t).elements) * row_of(t).bytes),
        x(rows * k),
        device_x(rows * k * 4),
        memory(weight_planes_of(t, n, k).bytes),
        q(rows * k),
        values(rows * k * 4),
        d(rows * k * 4),
        sums(rows * (k / 16 + 1) * 2),
        random(static_cast<std::uint32_t>(n * 31 + k * 7 + rows)) {
    make_weights(raw);
    std::normal_distribution<float> normal;
    for (float& value : x) value = normal(random);
    if (rows > 2) std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(k), k, 0.0f);
    if (rows > 3)
      for (std::uint64_t i = 0; i < k; ++i) x[2 * k + i] *= 1e-38f;
    if (rows > 4) x[3 * k + k / 2] = std::numeric_limits<float>::infinity();
    place_weights();
    expect();
  }

  void make_weights(bool raw) {
    std::normal_distribution<float> normal;
    if (!raw) {
      std::vector<float> row(k);
      for (std::uint64_t i = 0; i < n; ++i) {
        for (float& value : row) value = normal(random);
        REQUIRE(encode_row(type, row, std::span(file).subspan(i * file.size() / n, file.size() / n))
                    .ok());
      }
      return;
    }
    for (std::byte& b : file) b = static_cast<std::byte>(random());
    const tensor_type_row& geometry = row_of(type);
    const auto put = [&](std::size_t at, auto value) {
      std::memcpy(file.data() + at, &value, sizeof value);
    };
    for (std::size_t at = 0; at < file.size(); at += geometry.bytes) {
      if (type == tensor_type::f32)
        put(at, normal(random));
      else if (type == tensor_type::bf16)
        put(at, float_to_bfloat(normal(random)));
      else
        put(type == tensor_type::q6_k ? at + 208 : at, float_to_half(normal(random)));
      if (has_minimum(type)) put(at + 2, float_to_half(normal(random)));
    }
  }

  void place_weights() {
    const weight_planes planes = weight_planes_of(type, n, k);
    for (std::uint64_t i = 0; i < n; ++i)
      split_row(type, k, reinterpret_cast<const std::uint8_t*>(file.data()) + i * file.size() / n,
                memory.data() + i * planes.row_bytes,
                memory.data() + planes.scales_at + i * planes.row_scales * 2);
    matrix = {type, n, k, memory.data(),
              planes.row_scales == 0
                  ? nullptr
                  : reinterpret_cast<const std::uint16_t*>(memory.data() + planes.scales_at)};
  }

  void expect() {
    const matmul_backend& reference = *find_matmul_backend("reference");
    const auto packed = reference.make(type, n, k, file);
    reference.pack_rows(*packed, 0, n);
    activations prepared;
    prepared.reserve(type, k, rows);
    reference.prepare(type, k, x, 0, rows, prepared);
    expected.resize(rows * n);
    reference.multiply(*packed, prepared, rows, 0, n, expected.data(), n);
  }

  // prepare(problem) makes x ready in `values`, or in q, d and sums; run(arguments) multiplies.
  template <class Prepare, class Run>
  void check(const std::string& name, Prepare prepare, Run run) {
    std::memcpy(device_x.data(), x.data(), x.size() * sizeof(float));
    prepare(*this);
    for (const bool add : {false, true}) {
      const std::uint64_t stride = n + 3;
      const device_bytes out(
          std::vector<float>(rows * stride, add ? 0.5f : std::bit_cast<float>(canary)));
      run(product_arguments{.w = matrix,
                            .rows = rows,
                            .values = values.as<float>(),
                            .q = q.as<std::int8_t>(),
                            .d = d.as<float>(),
                            .sums = sums.as<std::int16_t>(),
                            .out = out.as<float>(),
                            .out_stride = stride,
                            .add = add});
      std::size_t wrong = 0;
      for (std::uint64_t row = 0; row < rows; ++row)
        for (std::uint64_t i = 0; i < stride; ++i) {
          const float before = add ? 0.5f : std::bit_cast<float>(canary);
          const float wanted = i >= n ? before
                               : add  ? before + expected[row * n + i]
                                      : expected[row * n + i];
          const float got = out.as<float>()[row * stride + i];
          if (i >= n ? std::bit_cast<std::uint32_t>(got) != std::bit_cast<std::uint32_t>(wanted)
                     : !same(got, wanted))
            ++wrong;
        }
      INFO(name << " " << row_of(type).name << " n=" << n << " k=" << k << " rows=" << rows
                << " add=" << add);
      CHECK(wrong == 0);
      CHECK(out.guarded());
    }
    CHECK(memory.guarded());
    CHECK(q.guarded());
    CHECK(d.guarded());
    CHECK(sums.guarded());
  }

  tensor_type type;
  std::uint64_t n, k;
  std::uint32_t rows;
  std::vector<std::byte> file;
  std::vector<float> x, expected;
  device_bytes device_x, memory, q, values, d, sums;
  device_matrix matrix;
  std::mt19937 random;
};

}  // namespace troupe::kernels::testing
