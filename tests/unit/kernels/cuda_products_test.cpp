// The CUDA matrix products, run on the host (cuda_emulation.hpp): the bits of the CPU's reference,
// for every type, any shape, and whatever order a block's threads run in.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "kernels/backend/cuda/bodies/row_bodies.hpp"
#include "tests/unit/kernels/cuda_problems.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

namespace {

template <std::uint32_t Block>
void prepare(problem& p, thread_order order) {
  using body = prepare_body<row_source::plain, Block>;
  emulate<body>({static_cast<std::uint32_t>((p.k + body::chunk - 1) / body::chunk), p.rows},
                {.x = p.device_x.as<float>(),
                 .n = p.k,
                 .scales = nullptr,
                 .weight = nullptr,
                 .up = nullptr,
                 .values = p.values.as<float>(),
                 .q = p.q.as<std::int8_t>(),
                 .d = p.d.as<float>(),
                 .sums = p.sums.as<std::int16_t>()},
                order);
}

template <class Run>
void check(problem&& p, const char* name, Run run, thread_order order) {
  p.check(
      std::string(name) + " order " + std::to_string(static_cast<int>(order)),
      [order](problem& of) {
        if (!quantized(of.type))
          prepare<1>(of, order);
        else if (by_256(of.type))
          prepare<256>(of, order);
        else
          prepare<32>(of, order);
      },
      [&](const product_arguments& a) { run(a, order); });
}

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
        check(problem(Type, n, k, 1, n % 2 == 0), "few 1", few_rows<Type, 1>, order);
        check(problem(Type, n, k, 2, true), "few 2", few_rows<Type, 2>, order);
        check(problem(Type, n, k, 3, false), "few 4", few_rows<Type, 4>, order);
        check(problem(Type, n, k, 8, true), "few 8", few_rows<Type, 8>, order);
        check(problem(Type, n, k, 11, true), "few 8 in two", few_rows<Type, 8>, order);
      }
    }
  });
}

namespace {

// Every thread reads what its neighbour writes, with no step in between: what a missing barrier is.
struct racing_body {
  static constexpr std::uint32_t threads = 8;
  using arguments = float*;
  struct shared {
    float x[threads];
  };
  struct registers {};
  static std::uint32_t steps(const arguments&, const place&) { return 1; }
  static void step(std::uint32_t, const arguments& out, const place& at, shared& s, registers&) {
    s.x[at.thread] = static_cast<float>(at.thread);
    out[at.thread] = s.x[(at.thread + 1) % threads];
  }
};

}  // namespace

TEST_CASE("cuda: the emulation finds a missing barrier") {
  std::vector<std::vector<std::uint32_t>> seen;
  for (const thread_order order : thread_orders) {
    std::vector<float> out(racing_body::threads);
    emulate<racing_body>({}, out.data(), order);
    std::vector<std::uint32_t> bits;
    for (const float value : out) bits.push_back(std::bit_cast<std::uint32_t>(value));
    seen.push_back(bits);
  }
  CHECK((seen[0] != seen[1] && seen[1] != seen[2]));
}

TEST_CASE("cuda: products over rows longer than one chunk of k have the reference's bits") {
  for_each_type([]<tensor_type Type>() {
    const std::uint64_t k = 4096 + (quantized(Type) ? 512 : 41);
    check(problem(Type, 6, k, 5, true), "few 8", few_rows<Type, 8>, thread_order::mixed);
    check(problem(Type, 6, k, 1, true), "few 1", few_rows<Type, 1>, thread_order::mixed);
    check(problem(Type, 70, k, 9, true), "many", many_rows<Type, 2>, thread_order::mixed);
  });
}

TEST_CASE("cuda: products of many rows, tensor cores' fragments too, have the reference's bits") {
  for_each_type([]<tensor_type Type>() {
    const std::uint64_t block = weight_geometry_of(Type).values;
    for (const thread_order order : thread_orders)
      for (const std::uint32_t rows : {1u, 8u, 17u, 33u}) {
        const std::uint64_t n = 40 + rows, k = block == 1 ? 97 : block * (1 + rows % 3);
        check(problem(Type, n, k, rows, rows % 2 == 0), "many 16", many_rows<Type, 2>, order);
        check(problem(Type, n, k, rows, true), "many 64", many_rows<Type, 8>, order);
      }
    check(problem(Type, 130, block == 1 ? 128 : 512, 67, true), "many 64", many_rows<Type, 8>,
          thread_order::mixed);
  });
}
