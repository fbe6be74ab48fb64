// The CUDA row operations and attention, run on the host (cuda_emulation.hpp): the bits of the
// CPU's reference, whatever order a block's threads run in.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/backend/cuda/bodies/attention_bodies.hpp"
#include "kernels/backend/cuda/bodies/merge_spans_body.hpp"
#include "kernels/backend/cuda/bodies/row_bodies.hpp"
#include "kernels/gguf/row_codec.hpp"
#include "kernels/ops/lane_sum.hpp"
#include "tests/unit/kernels/cuda_pages.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

namespace {

template <kv_type Type>
void store(paged& p, thread_order order) {
  p.store_on_gpu([order](const rotate_arguments& a, std::uint32_t rows) {
    emulate<rotate_and_store_body<Type>>({1, rows}, a, order);
  });
}

template <kv_type Type, std::uint32_t Rows>
std::vector<float> attend(paged& p, bool split, thread_order order) {
  return p.attend_on_gpu(Rows, split, [&](const attention_arguments& a, std::uint32_t tiles) {
    emulate<attend_body<Type, Rows>>({tiles, split ? a.spans : 1}, a, order);
    if (split) emulate<merge_spans_body>({tiles, Rows}, a, order);
  });
}

template <kv_type Type>
void check_attention(const attention_case& c, thread_order order) {
  paged p(c);
  const std::vector<float> wanted = p.compute_on_cpu();
  store<Type>(p, order);
  INFO("type " << static_cast<int>(Type) << " heads " << c.heads << "/" << c.heads_kv << " of "
               << c.dimension << ", " << c.tokens << " tokens at " << c.position << ", order "
               << static_cast<int>(order));
  CHECK(std::memcmp(p.cpu.data(), p.gpu.data(), p.blocks_total * p.block_bytes) == 0);
  for (const bool split : {false, true}) {
    CHECK(differences(attend<Type, 16>(p, split, order), wanted) == 0);
    CHECK(differences(attend<Type, 8>(p, split, order), wanted) == 0);
    CHECK(differences(attend<Type, 4>(p, split, order), wanted) == 0);
  }
  CHECK(p.gpu.guarded());
}

}  // namespace

TEST_CASE("cuda: half precision narrows and widens as row_codec does") {
  for (std::uint32_t half = 0; half < 65536; ++half) {
    const auto bits = static_cast<std::uint16_t>(half);
    REQUIRE(std::bit_cast<std::uint32_t>(widen_half(bits)) ==
            std::bit_cast<std::uint32_t>(half_to_float(bits)));
  }
  std::mt19937 random(3);
  for (int i = 0; i < 200000; ++i) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    REQUIRE(narrow_to_half(value) == float_to_half(value));
  }
}

TEST_CASE("cuda: exp is the class's own") {
  for (float x = -100; x < 100; x += 0.0137f)
    REQUIRE(std::bit_cast<std::uint32_t>(exact_exponential(x)) ==
            std::bit_cast<std::uint32_t>(reference_exp(x)));
}

TEST_CASE("cuda: norm, gate and their quantization agree with the reference's row operations") {
  for (const thread_order order : thread_orders)
    for (const std::uint64_t n : {1u, 15u, 96u, 1000u, 2048u, 5121u}) {
      const std::uint32_t rows = 3;
      const std::vector<float> x = random_floats(rows * n, 1), weight = random_floats(n, 2),
                               up = random_floats(rows * n, 3);
      std::vector<float> wanted(rows * n), gated = x, got(rows * n, -1.0f), scales(rows, -1.0f);
      for (std::uint32_t r = 0; r < rows; ++r) {
        reference().elementwise.rms_norm(&x[r * n], weight.data(), n, 1e-5f, &wanted[r * n]);
        reference().elementwise.silu_multiply(&gated[r * n], &up[r * n], n);
      }
      emulate<rms_scale_body>({1, rows}, {x.data(), n, 1e-5f, scales.data()}, order);
      const auto chunks = static_cast<std::uint32_t>((n + 1023) / 1024);
      emulate<prepare_body<row_source::normed, 1>>({chunks, rows},
                                                   {x.data(), n, scales.data(), weight.data(),
                                                    nullptr, got.data(), nullptr, nullptr, nullptr},
                                                   order);
      CHECK(differences(got, wanted) == 0);
      emulate<prepare_body<row_source::gated, 1>>(
          {chunks, rows},
          {x.data(), n, nullptr, nullptr, up.data(), got.data(), nullptr, nullptr, nullptr}, order);
      CHECK(differences(got, gated) == 0);
    }
}

TEST_CASE("cuda: quantizing what the norm and the gate give is quantizing their floats") {
  const std::uint64_t n = 1536;
  const std::uint32_t rows = 2;
  const std::vector<float> x = random_floats(rows * n, 1), weight = random_floats(n, 2);
  const std::vector<float> scales{0.7f, 1.3f};
  std::vector<float> normed(rows * n);
  const auto run = [&]<row_source Source, std::uint32_t Block>(const float* from) {
    std::vector<std::int8_t> q(rows * n + 16);
    std::vector<float> d(rows * n / (Block == 1 ? n : Block), -1.0f);
    std::vector<std::int16_t> sums(rows * n / 16);
    const auto to = reinterpret_cast<std::uintptr_t>(q.data());
    std::int8_t* aligned = q.data() + (16 - to % 16) % 16;
    emulate<prepare_body<Source, Block>>(
        {2, rows}, {from, n, scales.data(), weight.data(), nullptr, normed.data(), aligned,
                    d.data(), sums.data()});
    std::vector<int> all(aligned, aligned + rows * n);
    for (const float scale : d) all.push_back(std::bit_cast<int>(scale));
    all.insert(all.end(), sums.begin(), sums.end());
    return all;
  };
  run.operator()<row_source::normed, 1>(x.data());
  const std::vector<float> floats = normed;
  CHECK(run.operator()<row_source::normed, 32>(x.data()) ==
        run.operator()<row_source::plain, 32>(floats.data()));
  CHECK(run.operator()<row_source::normed, 256>(x.data()) ==
        run.operator()<row_source::plain, 256>(floats.data()));
}

TEST_CASE("cuda: embedding rows and gathered rows are copied whole") {
  const std::vector<float> table = random_floats(5 * 70, 9);
  const std::vector<std::int32_t> tokens{4, 0, 4};
  std::vector<float> out(3 * 70), wanted;
  const device_matrix matrix{tensor_type::f32, 5, 70,
                             reinterpret_cast<const std::uint8_t*>(table.data()), nullptr};
  emulate<embed_body<tensor_type::f32>>({1, 3}, {matrix, tokens.data(), out.data()});
  for (const std::int32_t token : tokens)
    wanted.insert(wanted.end(), table.begin() + token * 70, table.begin() + (token + 1) * 70);
  CHECK(out == wanted);
  const std::vector<std::uint32_t> index{2, 1};
  std::vector<float> kept(2 * 70);
  emulate<gather_body>({1, 2}, {out.data(), 70, index.data(), kept.data()});
  CHECK(std::equal(kept.begin(), kept.begin() + 70, out.begin() + 140));
  CHECK(std::equal(kept.begin() + 70, kept.end(), out.begin() + 70));
}

TEST_CASE("cuda: attention has the reference's bits for any split, tile and thread order") {
  for (attention_case c : attention_cases) {
    check_attention<kv_type::f16>(c, thread_order::mixed);
    c.type = kv_type::q8_0;
    check_attention<kv_type::q8_0>(c, thread_order::mixed);
  }
  for (const thread_order order : thread_orders) {
    check_attention<kv_type::f16>({kv_type::f16, 4, 2, 80, 253, 9}, order);
    check_attention<kv_type::q8_0>({kv_type::q8_0, 4, 2, 80, 253, 9}, order);
  }
}

TEST_CASE("cuda: what lies behind a row's position never reaches it") {
  paged p({kv_type::f16, 2, 1, 64, 20, 3});
  const std::vector<float> wanted = p.compute_on_cpu();
  store<kv_type::f16>(p, thread_order::rising);
  for (std::uint32_t slot = 23; slot < 32; ++slot)  // the rest of the last block: infinities
    for (std::uint32_t d = 0; d < 64; ++d) {
      auto* keys = reinterpret_cast<std::uint16_t*>(p.store().keys(kv_type::f16, p.blocks[1], 0));
      keys[d * 16 + slot % 16] = 0x7c00;
      keys[64 * 16 + slot % 16 * 64 + d] = 0x7c00;
    }
  CHECK(differences(attend<kv_type::f16, 16>(p, false, thread_order::rising), wanted) == 0);
  CHECK(differences(attend<kv_type::f16, 4>(p, true, thread_order::rising), wanted) == 0);
}
