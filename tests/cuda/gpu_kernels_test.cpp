// Every kernel on a real device beside the CPU's reference, bit for bit; skipped where there is
// none.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include "kernels/backend/cuda/bodies/launches.hpp"
#include "tests/cuda/real_device.hpp"
#include "tests/unit/kernels/cuda_best_rows.hpp"
#include "tests/unit/kernels/cuda_half_problems.hpp"
#include "tests/unit/kernels/cuda_pages.hpp"
#include "tests/unit/kernels/cuda_problems.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

namespace {

// Memory that both sides reach, so that the host's cases serve as they are.
void use_managed_memory() {
  kernel_memory() = {
      .take =
          [](std::size_t bytes) {
            void* memory = nullptr;
            REQUIRE(cudaMallocManaged(&memory, bytes, cudaMemAttachGlobal) == cudaSuccess);
            return memory;
          },
      .give = [](void* memory) { cudaFree(memory); }};
}

void finish(runtime_code launched) {
  REQUIRE(launched == 0);
  const cudaError_t ran = cudaDeviceSynchronize();
  INFO(cudaGetErrorString(ran));
  REQUIRE(ran == cudaSuccess);
}

void prepare(problem& p) {
  finish(launch_prepare(row_source::plain,
                        quantized(p.type) ? weight_geometry_of(p.type).values : 1,
                        {.x = p.device_x.as<float>(),
                         .n = p.k,
                         .values = p.values.as<float>(),
                         .q = p.q.as<std::int8_t>(),
                         .d = p.d.as<float>(),
                         .sums = p.sums.as<std::int16_t>()},
                        p.rows, nullptr));
}

void check_both(tensor_type type, std::uint64_t n, std::uint64_t k, std::uint32_t rows, bool raw) {
  problem p(type, n, k, rows, raw);
  p.check("few rows", prepare,
          [](const product_arguments& a) { finish(launch_few_rows(a, nullptr)); });
  p.check("many rows", prepare,
          [](const product_arguments& a) { finish(launch_many_rows(a, nullptr)); });
}

// The rows as the kernel makes them are those that its body makes on the host.
void check_prepared(half_problem& p) {
  finish(launch_prepare_half(row_source::plain, half_form_of(p.type), p.row_arguments(), p.rows,
                             nullptr));
  const std::vector<std::uint16_t> got = p.halves.copied<std::uint16_t>();
  const std::vector<float> scales = p.inverse.copied<float>();
  const auto again = [&]<half_form Form>() {
    emulate<prepare_half_body<row_source::plain, Form>>({1, p.rows}, p.row_arguments());
  };
  if (p.bfloat())
    again.operator()<half_form::bfloat>();
  else
    again.operator()<half_form::half>();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const std::uint16_t wanted = p.halves.as<std::uint16_t>()[i];
    wrong += got[i] == wanted || (p.bfloat() && std::isnan(bfloat_to_float(got[i])) &&
                                  std::isnan(bfloat_to_float(wanted)))
                 ? 0
                 : 1;
  }
  if (!p.bfloat()) wrong += differences(scales, p.inverse.copied<float>());
  CHECK(wrong == 0);
}

// Near the true product, and the same bits from both kernels, in any batch and alone.
void check_half(tensor_type type, std::uint64_t n, std::uint64_t k, std::uint32_t rows, bool raw) {
  half_problem p(type, n, k, rows, raw);
  check_prepared(p);
  const auto few = p.check(
      "few rows", [](const auto& a) { finish(launch_half_few_rows(a, nullptr)); }, false);
  const auto many = p.check(
      "many rows", [](const auto& a) { finish(launch_half_many_rows(a, nullptr)); }, false);
  CHECK(std::equal(few.begin(), few.end(), many.begin(), same));
  const device_bytes out(n * 4);
  for (std::uint32_t m = 0; m < rows; m += 5) {
    half_product_arguments alone = p.arguments(out, n, false);
    alone.x += m * half_width(k);
    alone.inverse += m;
    alone.rows = 1;
    for (const auto launch : {launch_half_few_rows, launch_half_many_rows}) {
      finish(launch(alone, nullptr));
      CHECK(std::equal(few.begin() + static_cast<std::ptrdiff_t>(m * n),
                       few.begin() + static_cast<std::ptrdiff_t>((m + 1) * n), out.as<float>(),
                       same));
    }
  }
}

}  // namespace

TEST_CASE("gpu tensor: products of every type are near the true ones, each row's bits its own") {
  if (no_device()) return;
  use_managed_memory();
  for (const tensor_type_row& type : tensor_type_table) {
    if (type.type == tensor_type::f32) continue;
    for (std::uint32_t rows = 1; rows <= 70; rows += rows < 9 ? 1 : 8) {
      const std::uint64_t block = type.elements;
      const std::uint64_t k = block == 1 ? 60 + rows * 3 : block * (1 + rows % 5);
      check_half(type.type, 37 + rows, k, rows, rows % 2 == 0);
    }
    check_half(type.type, 150, 4096 + (type.elements == 1 ? 24 : 256), 9, true);
    check_half(type.type, 260, 2048, 130, true);
  }
}

TEST_CASE("gpu: products of every type have the reference's bits for 1 to 33 rows") {
  if (no_device()) return;
  use_managed_memory();
  for (const tensor_type_row& type : tensor_type_table)
    for (std::uint32_t rows = 1; rows <= 33; ++rows) {
      const std::uint64_t block = type.elements;
      const std::uint64_t k = block == 1 ? 60 + rows * 3 : block * (1 + rows % 5);
      check_both(type.type, 37 + rows, k, rows, rows % 2 == 0);
    }
}

TEST_CASE("gpu: products of a model's sizes have the reference's bits") {
  if (no_device()) return;
  use_managed_memory();
  for (const tensor_type_row& type : tensor_type_table) {
    check_both(type.type, 1030, 4096 + (type.elements == 1 ? 17 : 256), 1, true);
    check_both(type.type, 520, 2048, 130, true);
  }
}

TEST_CASE("gpu: keys, values and attention have the reference's bits for any split and tile") {
  if (no_device()) return;
  use_managed_memory();
  for (attention_case c : attention_cases)
    for (const kv_type type : {kv_type::f16, kv_type::q8_0}) {
      c.type = type;
      paged p(c);
      const std::vector<float> wanted = p.compute_on_cpu();
      p.store_on_gpu([type](const rotate_arguments& a, std::uint32_t rows) {
        finish(launch_rotate_and_store(type, a, rows, nullptr));
      });
      CHECK(std::memcmp(p.cpu.data(), p.gpu.data(), p.blocks_total * p.block_bytes) == 0);
      for (const std::uint32_t rows : {4u, 8u, 16u})
        for (const bool split : {false, true}) {
          const auto got = p.attend_on_gpu(
              rows, split, [type](const attention_arguments& a, std::uint32_t tiles) {
                finish(launch_attention(type, a, tiles, nullptr));
              });
          CHECK(differences(got, wanted) == 0);
        }
    }
}

TEST_CASE("gpu: the best of a row and the sum of its exponentials have the reference's bits") {
  if (no_device()) return;
  use_managed_memory();
  for (const std::uint64_t n : {1u, 64u, 1000u, 1025u, 32000u, 151936u})
    best_rows(n).check([](const best_launch& what, std::uint32_t rows) {
      finish(launch_best(what, rows, nullptr));
    });
}

TEST_CASE("gpu: norm, gate, embedding and gathering have the reference's bits") {
  if (no_device()) return;
  use_managed_memory();
  for (const std::uint64_t n : {15u, 96u, 1000u, 4096u, 5121u}) {
    const std::uint32_t rows = 3;
    const std::vector<float> x = random_floats(rows * n, 1), weight = random_floats(n, 2),
                             up = random_floats(rows * n, 3);
    std::vector<float> normed(rows * n), gated = x;
    for (std::uint32_t r = 0; r < rows; ++r) {
      reference().elementwise.rms_norm(&x[r * n], weight.data(), n, 1e-5f, &normed[r * n]);
      reference().elementwise.silu_multiply(&gated[r * n], &up[r * n], n);
    }
    const device_bytes dx(x), dweight(weight), dup(up), scales(rows * 4), out(rows * n * 4);
    finish(launch_rms_scale({dx.as<float>(), n, 1e-5f, scales.as<float>()}, rows, nullptr));
    const prepare_launch what{.x = dx.as<float>(),
                              .n = n,
                              .scales = scales.as<float>(),
                              .weight = dweight.as<float>(),
                              .up = dup.as<float>(),
                              .values = out.as<float>()};
    finish(launch_prepare(row_source::normed, 1, what, rows, nullptr));
    CHECK(differences(out.copied<float>(), normed) == 0);
    finish(launch_prepare(row_source::gated, 1, what, rows, nullptr));
    CHECK(differences(out.copied<float>(), gated) == 0);
    const device_bytes index(std::vector<std::uint32_t>{2, 0});
    const device_bytes kept(2 * n * 4);
    finish(launch_gather({dx.as<float>(), n, index.as<std::uint32_t>(), kept.as<float>()}, 2,
                         nullptr));
    CHECK(std::memcmp(kept.data(), &x[2 * n], n * 4) == 0);
    CHECK(std::memcmp(kept.data() + n * 4, x.data(), n * 4) == 0);
  }
  for (const tensor_type_row& type : tensor_type_table) {
    const problem p(type.type, 7, 512, 1, true);
    const device_bytes tokens(std::vector<std::int32_t>{6, 0, 3}), out(3 * 512 * 4);
    finish(launch_embed({p.matrix, tokens.as<std::int32_t>(), out.as<float>()}, 3, nullptr));
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t token = i == 0 ? 6 : i == 1 ? 0 : 3, bytes = p.file.size() / 7;
      std::vector<float> wanted(512);
      decode_row(type.type, std::span(p.file).subspan(token * bytes, bytes), wanted);
      std::size_t wrong = 0;
      for (std::size_t k = 0; k < 512; ++k)
        wrong += same(out.as<float>()[i * 512 + k], wanted[k]) ? 0 : 1;
      CHECK(wrong == 0);
    }
  }
}
