// Runs the bodies of the class `tensor` on the host: a warp's product of float16 or bfloat16 as a
// table of the PTX ISA says who has what, its 16 products added one by one in float.
#pragma once

#include <array>

#include "kernels/backend/cuda/bodies/half_tile_body.hpp"
#include "tests/unit/kernels/cuda_emulation.hpp"

namespace troupe::kernels::testing {

template <cuda::half_form Form>
float widen(std::uint32_t pair, std::uint32_t i) {
  const auto bits = static_cast<std::uint16_t>(pair >> (16 * i));
  return Form == cuda::half_form::half ? cuda::widen_half(bits) : cuda::widen_bfloat(bits);
}

// sum += A * B of a warp's 32 lanes (m16n8k16): element i of a lane's word of A is row lane / 4
// (+ 8 in words 1 and 3), column lane % 4 * 2 + i (+ 8 in words 2 and 3); of B row lane % 4 * 2 + i
// (+ 8 in word 1), column lane / 4; C's four are row lane / 4 (+ 8 for 2, 3), column lane % 4 * 2 +
// i % 2.
template <cuda::half_form Form>
void add_product(const cuda::half_a (&a)[32], const cuda::half_b (&b)[32], float* (&sum)[32]) {
  float left[16][16], right[16][8];
  for (std::uint32_t lane = 0; lane < 32; ++lane)
    for (std::uint32_t word = 0; word < 4; ++word)
      for (std::uint32_t i = 0; i < 2; ++i) {
        const std::uint32_t k = lane % 4 * 2 + i;
        left[lane / 4 + word % 2 * 8][k + word / 2 * 8] = widen<Form>(a[lane].word[word], i);
        if (word < 2) right[k + word * 8][lane / 4] = widen<Form>(b[lane].word[word], i);
      }
  for (std::uint32_t lane = 0; lane < 32; ++lane)
    for (std::uint32_t i = 0; i < 4; ++i)
      for (std::uint32_t k = 0; k < 16; ++k)
        sum[lane][i] =
            std::fma(left[lane / 4 + i / 2 * 8][k], right[k][lane % 4 * 2 + i % 2], sum[lane][i]);
}

template <tensor_type Type, std::uint32_t Tiles>
void emulate_half_few(grid blocks, const cuda::half_product_arguments& a, thread_order order) {
  using body = cuda::half_few_body<Type, Tiles>;
  const std::vector<std::uint32_t> threads = order_of(body::threads, order);
  const std::vector<std::uint32_t> warps = order_of(body::threads / 32, order);
  for (std::uint32_t y = 0; y < blocks.y; ++y)
    for (std::uint32_t x = 0; x < blocks.x; ++x) {
      auto shared = fresh_shared<body>();
      std::vector<std::array<std::array<float, 4>, Tiles>> sums(body::threads);
      for (const std::uint32_t warp : warps) {
        const auto own = body::groups_of(a, {.block_x = x, .block_y = y, .thread = warp * 32});
        for (std::uint32_t group = own.begin; group < own.end; ++group) {
          typename body::group_halves made[32];
          for (std::uint32_t lane = 0; lane < 32; ++lane) {
            const cuda::place at{.block_x = x, .block_y = y, .thread = warp * 32 + lane};
            made[lane] = body::made(body::read(a, at, group), at, group);
          }
          for (std::uint32_t j = 0; j < 4; ++j)
            for (std::uint32_t tile = 0; tile < Tiles; ++tile) {
              cuda::half_a left[32];
              cuda::half_b right[32];
              float* sum[32];
              for (std::uint32_t lane = 0; lane < 32; ++lane) {
                left[lane] = body::a(made[lane], j);
                right[lane] = body::b(made[lane], tile, j);
                sum[lane] = sums[warp * 32 + lane][tile].data();
              }
              add_product<cuda::half_form_of(Type)>(left, right, sum);
            }
        }
      }
      for (const std::uint32_t t : threads) {
        float sum[Tiles][4];
        std::memcpy(sum, sums[t].data(), sizeof sum);
        body::keep(*shared, t, sum);
      }
      for (const std::uint32_t t : threads)
        body::write(a, {.block_x = x, .block_y = y, .thread = t}, *shared);
    }
}

template <class Body, cuda::half_form Form>
void emulate_group(const typename Body::shared& shared, std::uint32_t warp, std::uint32_t group,
                   std::vector<typename Body::sums>& of) {
  for (std::uint32_t half = 0; half < 2; ++half)
    for (std::uint32_t product = 0; product < 2; ++product)
      for (std::uint32_t m = 0; m < Body::m_tiles; ++m)
        for (std::uint32_t n = 0; n < Body::n_tiles; ++n) {
          cuda::half_a left[32];
          cuda::half_b right[32];
          float* sum[32];
          for (std::uint32_t lane = 0; lane < 32; ++lane) {
            const std::uint32_t t = warp * 32 + lane;
            left[lane] = Body::a(shared, t, group, half, m).of(product);
            right[lane] = Body::b(shared, t, group, half, n).of(product);
            sum[lane] = of[t].sum[m][n];
          }
          add_product<Form>(left, right, sum);
        }
}

// Between two barriers each warp does all that it does there before the next one begins, so that
// what one warp wrongly takes from another shows in some order.
template <tensor_type Type, std::uint32_t Rows>
void emulate_half_tile(grid blocks, const cuda::half_product_arguments& a, thread_order order) {
  using body = cuda::half_tile_body<Type, Rows>;
  const std::vector<std::uint32_t> warps = order_of(body::threads / 32, order);
  const std::vector<std::uint32_t> lanes = order_of(32, order);
  const cuda::half_slices slices = cuda::half_slices_of(a.w.k);
  for (std::uint32_t y = 0; y < blocks.y; ++y)
    for (std::uint32_t x = 0; x < blocks.x; ++x) {
      auto shared = fresh_shared<body>();
      std::vector<typename body::sums> of(body::threads);
      std::vector<typename body::fetched> kept(body::threads);
      const auto at = [&](std::uint32_t t) {
        return cuda::place{.block_x = x, .block_y = y, .thread = t};
      };
      for (std::uint32_t region = 0; region <= slices.groups; ++region)  // region 0: the first fill
        for (const std::uint32_t warp : warps) {
          const bool fills = region < slices.groups;
          for (const std::uint32_t lane : lanes)
            if (const std::uint32_t t = warp * 32 + lane; fills)
              body::fetch(a, at(t), region, *shared, kept[t]);
          if (region > 0)
            emulate_group<body, cuda::half_form_of(Type)>(*shared, warp, region - 1, of);
          for (const std::uint32_t lane : lanes)
            if (const std::uint32_t t = warp * 32 + lane; fills)
              body::store(at(t), region, kept[t], *shared);
          if (region > 0 && body::ends_slice(slices, region - 1))
            for (const std::uint32_t lane : lanes) body::finish_slice(of[warp * 32 + lane]);
        }
      for (std::uint32_t t = 0; t < body::threads; ++t) body::write(a, at(t), of[t]);
    }
}

}  // namespace troupe::kernels::testing
