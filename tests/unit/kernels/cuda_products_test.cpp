// The CUDA matrix products, run on the host (cuda_emulation.hpp): the bits of the CPU's reference,
// for every type, any shape, and whatever order a block's threads run in.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/backend/cuda/row_bodies.hpp"
#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/matmul.hpp"
#include "tests/unit/kernels/cuda_emulation.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::cuda;
using namespace troupe::kernels::testing;

namespace {

constexpr std::uint32_t canary = 0x7fc0babe;  // a NaN that no kernel makes

bool same(float a, float b) {
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

  template <std::uint32_t Block>
  void prepare(thread_order order) {
    using body = prepare_body<row_source::plain, Block>;
    emulate<body>({static_cast<std::uint32_t>((k + body::chunk - 1) / body::chunk), rows},
                  {.x = x.data(),
                   .n = k,
                   .scales = nullptr,
                   .weight = nullptr,
                   .up = nullptr,
                   .values = values.as<float>(),
                   .q = q.as<std::int8_t>(),
                   .d = d.as<float>(),
                   .sums = sums.as<std::int16_t>()},
                  order);
  }

  template <class Run>
  void check(const std::string& name, Run run, thread_order order) {
    if (!quantized(type)) prepare<1>(order);
    if (quantized(type) && !by_256(type)) prepare<32>(order);
    if (by_256(type)) prepare<256>(order);
    for (const bool add : {false, true}) {
      const std::uint64_t stride = n + 3;
      std::vector<float> out(rows * stride, add ? 0.5f : std::bit_cast<float>(canary));
      run(product_arguments{.w = matrix,
                            .rows = rows,
                            .values = values.as<float>(),
                            .q = q.as<std::int8_t>(),
                            .d = d.as<float>(),
                            .sums = sums.as<std::int16_t>(),
                            .out = out.data(),
                            .out_stride = stride,
                            .add = add},
          order);
      std::size_t wrong = 0;
      for (std::uint64_t row = 0; row < rows; ++row)
        for (std::uint64_t i = 0; i < stride; ++i) {
          const float before = add ? 0.5f : std::bit_cast<float>(canary);
          const float wanted = i >= n ? before
                               : add  ? before + expected[row * n + i]
                                      : expected[row * n + i];
          const float got = out[row * stride + i];
          if (i >= n ? std::bit_cast<std::uint32_t>(got) != std::bit_cast<std::uint32_t>(wanted)
                     : !same(got, wanted))
            ++wrong;
        }
      INFO(name << " " << row_of(type).name << " n=" << n << " k=" << k << " rows=" << rows
                << " order=" << static_cast<int>(order) << " add=" << add);
      CHECK(wrong == 0);
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
  device_bytes memory, q, values, d, sums;
  device_matrix matrix;
  std::mt19937 random;
};

std::uint32_t cut(std::uint64_t size, std::uint32_t by) {
  return static_cast<std::uint32_t>((size + by - 1) / by);
}

template <tensor_type Type, std::uint32_t Rows>
void few_rows(const product_arguments& a, thread_order order) {
  if constexpr (quantized(Type)) {
    using body = few_rows_body<Type, Rows>;
    emulate<body>({cut(a.w.n, body::outputs), cut(a.rows, Rows)}, a, order);
  } else {
    using body = few_rows_float_body<Type, Rows>;
    emulate<body>({cut(a.w.n, body::outputs), cut(a.rows, Rows)}, a, order);
  }
}

template <tensor_type Type, std::uint32_t Groups>
void many_rows(const product_arguments& a, thread_order order) {
  if constexpr (quantized(Type)) {
    using body = tensor_tile_body<Type, Groups>;
    emulate_tensor_tile<body>({cut(a.w.n, body::outputs), cut(a.rows, body::rows)}, a, order);
  } else {
    using body = float_tile_body<Type>;
    emulate<body>({cut(a.w.n, body::side), cut(a.rows, body::side)}, a, order);
  }
}

}  // namespace

TEST_CASE("cuda: weights in planes hold the file's bytes, and each value decodes to row_codec's") {
  for_each_type([]<tensor_type Type>() {
    problem p(Type, 3, 512, 1, true);
    const weight_planes planes = weight_planes_of(Type, p.n, p.k);
    CHECK(planes.row_bytes * p.n + planes.row_scales * 2 * p.n == p.file.size());
    std::size_t wrong = 0;
    for (std::uint64_t i = 0; i < p.n; ++i) {
      std::vector<float> wanted(p.k);
      decode_row(Type, std::span(p.file).subspan(i * p.file.size() / p.n, p.file.size() / p.n),
                 wanted);
      for (std::uint64_t k = 0; k < p.k; ++k)
        if (!same(read_value<Type>(p.matrix.blocks + i * planes.row_bytes,
                                   p.matrix.scales + i * planes.row_scales, k),
                  wanted[k]))
          ++wrong;
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("cuda: products of one to eight rows have the reference's bits, in any thread order") {
  for_each_type([]<tensor_type Type>() {
    const std::uint64_t block = weight_geometry_of(Type).values;
    for (const thread_order order : thread_orders) {
      for (const std::uint64_t n : {1u, 5u, 16u, 19u}) {
        const std::uint64_t k = block == 1 ? n * 37 + 3 : block * n;
        problem(Type, n, k, 1, n % 2 == 0).check("few 1", few_rows<Type, 1>, order);
        problem(Type, n, k, 2, true).check("few 2", few_rows<Type, 2>, order);
        problem(Type, n, k, 3, false).check("few 4", few_rows<Type, 4>, order);
        problem(Type, n, k, 8, true).check("few 8", few_rows<Type, 8>, order);
        problem(Type, n, k, 11, true).check("few 8 in two", few_rows<Type, 8>, order);
      }
    }
  });
}

TEST_CASE("cuda: products over rows longer than one chunk of k have the reference's bits") {
  for_each_type([]<tensor_type Type>() {
    const std::uint64_t k = 4096 + (quantized(Type) ? 512 : 41);
    problem(Type, 6, k, 5, true).check("few 8", few_rows<Type, 8>, thread_order::mixed);
    problem(Type, 6, k, 1, true).check("few 1", few_rows<Type, 1>, thread_order::mixed);
    problem(Type, 70, k, 9, true).check("many", many_rows<Type, 2>, thread_order::mixed);
  });
}

TEST_CASE("cuda: products of many rows, tensor cores' fragments too, have the reference's bits") {
  for_each_type([]<tensor_type Type>() {
    const std::uint64_t block = weight_geometry_of(Type).values;
    for (const thread_order order : thread_orders)
      for (const std::uint32_t rows : {1u, 8u, 17u, 33u}) {
        const std::uint64_t n = 40 + rows, k = block == 1 ? 97 : block * (1 + rows % 3);
        problem(Type, n, k, rows, rows % 2 == 0).check("many 16", many_rows<Type, 2>, order);
        problem(Type, n, k, rows, true).check("many 64", many_rows<Type, 8>, order);
      }
    problem(Type, 130, block == 1 ? 128 : 512, 67, true)
        .check("many 64", many_rows<Type, 8>, thread_order::mixed);
  });
}
