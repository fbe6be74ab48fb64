// The products of the class `tensor`, run on the host (cuda_half_emulation.hpp): in the order that
// their header writes down, near the true product, and each row alone.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/kernels/cuda_half_emulation.hpp"
#include "tests/unit/kernels/cuda_half_problems.hpp"
#include "tests/unit/kernels/cuda_pages.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

namespace {

std::uint32_t cut(std::uint64_t size, std::uint32_t by) {
  return static_cast<std::uint32_t>((size + by - 1) / by);
}

void prepare(half_problem& p, thread_order order) {
  const auto run = [&]<half_form Form>() {
    emulate<prepare_half_body<row_source::plain, Form>>({1, p.rows}, p.row_arguments(), order);
  };
  if (p.bfloat())
    run.operator()<half_form::bfloat>();
  else
    run.operator()<half_form::half>();
}

template <tensor_type Type, std::uint32_t Tiles>
void few(const half_product_arguments& a, thread_order order) {
  emulate_half_few<Type, Tiles>({cut(a.w.n, 16), cut(a.rows, 8 * Tiles)}, a, order);
}
template <tensor_type Type, std::uint32_t Rows>
void tile(const half_product_arguments& a, thread_order order) {
  emulate_half_tile<Type, Rows>({cut(a.w.n, 128), cut(a.rows, Rows)}, a, order);
}

// Both kernels, all their instances; gives the rows' results.
template <tensor_type Type>
std::vector<float> check_all(half_problem&& p, thread_order order) {
  prepare(p, order);
  const std::string name = "order " + std::to_string(static_cast<int>(order));
  auto a = p.check(
      "few " + name, [&](const auto& w) { few<Type, 1>(w, order); }, true);
  p.check(
      "few 16 " + name, [&](const auto& w) { few<Type, 2>(w, order); }, true);
  p.check(
      "few 32 " + name, [&](const auto& w) { few<Type, 4>(w, order); }, true);
  const auto b = p.check(
      "tile 32 " + name, [&](const auto& w) { tile<Type, 32>(w, order); }, true);
  const auto c = p.check(
      "tile 128 " + name, [&](const auto& w) { tile<Type, 128>(w, order); }, true);
  CHECK(std::equal(a.begin(), a.end(), b.begin(), same));
  CHECK(std::equal(a.begin(), a.end(), c.begin(), same));
  return a;
}

std::uint64_t length(tensor_type type, std::uint64_t blocks) {
  return blocks * weight_geometry_of(type).values;
}

}  // namespace

TEST_CASE("cuda tensor: both kernels keep the written order and stay near the true product") {
  for_each_half_type([]<tensor_type Type>() {
    const bool floats = !quantized(Type);
    for (const thread_order order : thread_orders) {
      check_all<Type>({Type, 1, floats ? 5 : length(Type, 1), 1, false}, order);
      check_all<Type>({Type, 19, floats ? 97 : length(Type, 3), 9, true}, order);
    }
    // Slices of one group and of two, the last one shorter; float rows that 16 bytes do not divide.
    check_all<Type>({Type, 5, floats ? 440 : length(Type, by_256(Type) ? 2 : 17), 8, false},
                    thread_order::mixed);
    check_all<Type>({Type, 3, floats ? 1001 : length(Type, by_256(Type) ? 5 : 37), 2, true},
                    thread_order::mixed);
    check_all<Type>({Type, 130, floats ? 136 : length(Type, by_256(Type) ? 1 : 5), 33, true},
                    thread_order::falling);
  });
}

TEST_CASE("cuda tensor: a row has the same bits alone, among 1 to 70 rows, and at any place") {
  for_each_half_type([]<tensor_type Type>() {
    const std::uint64_t n = 17, k = quantized(Type) ? length(Type, by_256(Type) ? 1 : 9) : 200;
    half_problem all(Type, n, k, 70, true);
    prepare(all, thread_order::mixed);
    const device_bytes out(70 * n * 4);
    tile<Type, 128>(all.arguments(out, n, false), thread_order::mixed);
    const std::vector<float> wanted = out.copied<float>();
    for (std::uint32_t rows = 1; rows <= 70; rows += rows < 10 ? 1 : 12) {
      half_problem some(Type, n, k, 1, true);
      const device_bytes halves(rows * half_width(k) * 2), inverse(rows * 4), x(rows * k * 4);
      const std::uint32_t first = 70 - rows;  // its last rows
      std::copy_n(all.x.begin() + static_cast<std::ptrdiff_t>(first * k), rows * k, x.as<float>());
      const auto run = [&]<half_form Form>() {
        emulate<prepare_half_body<row_source::plain, Form>>({1, rows},
                                                            {.x = x.as<float>(),
                                                             .n = k,
                                                             .values = halves.as<std::uint16_t>(),
                                                             .inverse = inverse.as<float>()});
      };
      run.template operator()<half_form_of(Type)>();
      half_product_arguments a{.w = all.matrix,
                               .rows = rows,
                               .x = halves.as<std::uint16_t>(),
                               .inverse = inverse.as<float>(),
                               .out_stride = n};
      const auto check = [&](auto product) {
        const device_bytes part(rows * n * 4);
        a.out = part.as<float>();
        product(a, thread_order::rising);
        const std::vector<float> got = part.copied<float>();
        CHECK(std::equal(got.begin(), got.end(),
                         wanted.begin() + static_cast<std::ptrdiff_t>(first * n), same));
      };
      check(few<Type, 1>);
      check(few<Type, 4>);
      check(tile<Type, 32>);
    }
  });
}

TEST_CASE("cuda tensor: rows as long as a model's go through all eight slices") {
  for_each_half_type([]<tensor_type Type>() {
    half_problem p(Type, 7, quantized(Type) ? 4096 + 256 : 4096 + 24, 7, true);
    prepare(p, thread_order::mixed);
    p.check(
        "few", [](const auto& w) { few<Type, 1>(w, thread_order::mixed); }, true);
    p.check(
        "tile 32", [](const auto& w) { tile<Type, 32>(w, thread_order::mixed); }, true);
  });
}

TEST_CASE("cuda tensor: a row's largest value comes to 2^13 or more, or the row says NaN") {
  const std::uint64_t n = 70;
  const float largest[] = {1.0f, 1.5f, 0x1.8p127f, 0x1p-113f, 0x1p-114f, 0x1p-149f, 0.0f};
  for (const thread_order order : thread_orders)
    for (const float size : largest) {
      std::vector<float> x(n, size / 4);
      x[66] = -size;
      std::vector<std::uint16_t> values(half_width(n), 0xffff);
      float inverse = 0;
      emulate<prepare_half_body<row_source::plain, half_form::half>>(
          {1, 1}, {.x = x.data(), .n = n, .values = values.data(), .inverse = &inverse}, order);
      const float there = std::abs(half_to_float(values[66]));
      CHECK(there * inverse == doctest::Approx(size).epsilon(0x1p-11));
      if (size >= 0x1p-113f) CHECK((there >= 0x1p13f && there <= 0x1p14f));
      for (std::uint64_t i = n; i < values.size(); ++i) CHECK(values[i] == 0);
      x[3] = std::numeric_limits<float>::infinity();
      emulate<prepare_half_body<row_source::plain, half_form::half>>(
          {1, 1}, {.x = x.data(), .n = n, .values = values.data(), .inverse = &inverse}, order);
      CHECK(std::isnan(inverse));
      CHECK(std::all_of(values.begin(), values.end(), [](auto half) { return half == 0; }));
    }
}

TEST_CASE("cuda tensor: rounding what the norm and the gate give is rounding their floats") {
  const std::uint64_t n = 1100;
  const std::uint32_t rows = 2;
  const std::vector<float> x = random_floats(rows * n, 1), weight = random_floats(n, 2),
                           up = random_floats(rows * n, 3), scales{0.7f, 1.3f};
  const auto run = [&]<row_source Source, half_form Form>(const float* from) {
    std::vector<std::uint16_t> values(rows * half_width(n));
    std::vector<float> inverse(rows);
    emulate<prepare_half_body<Source, Form>>(
        {1, rows},
        {from, n, scales.data(), weight.data(), up.data(), values.data(), inverse.data()},
        thread_order::mixed);
    for (const float scale : inverse)
      values.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(scale) >> 16));
    return values;
  };
  const auto floats_of = [&]<row_source Source>() {
    std::vector<float> floats(rows * n);
    emulate<prepare_body<Source, 1>>(
        {2, rows}, {x.data(), n, scales.data(), weight.data(), up.data(), floats.data(), nullptr,
                    nullptr, nullptr});
    return floats;
  };
  const auto check = [&]<row_source Source>() {
    const std::vector<float> floats = floats_of.operator()<Source>();
    CHECK(run.operator()<Source, half_form::half>(x.data()) ==
          run.operator()<row_source::plain, half_form::half>(floats.data()));
    const auto bfloats = run.operator()<Source, half_form::bfloat>(x.data());
    CHECK(bfloats == run.operator()<row_source::plain, half_form::bfloat>(floats.data()));
    for (std::uint64_t i = 0; i < n; ++i) CHECK(bfloats[i] == float_to_bfloat(floats[i]));
  };
  check.operator()<row_source::normed>();
  check.operator()<row_source::gated>();
}
