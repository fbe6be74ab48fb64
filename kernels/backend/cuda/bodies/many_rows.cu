#include "kernels/backend/cuda/bodies/launch.cuh"
#include "kernels/backend/cuda/bodies/tile_bodies.hpp"

namespace troupe::kernels::cuda {
namespace {

// Above this many rows one pass of tiles beats passes of eight rows over the weights.
constexpr std::uint32_t few_rows_max = 8;

// c = a * b over the unit's 32 values, or its first and its second 16 apart. Source: PTX ISA,
// mma.sync for .s8.
template <class Body>
__device__ __forceinline__ void multiply_fragments(const typename Body::a_fragment& a,
                                                   const typename Body::b_fragment& b,
                                                   typename Body::c_fragment& c) {
  if constexpr (Body::halves) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
        "{%7,%7,%7,%7};"
        : "=r"(c.first[0]), "=r"(c.first[1]), "=r"(c.first[2]), "=r"(c.first[3])
        : "r"(a.word[0]), "r"(a.word[1]), "r"(b.word[0]), "r"(0));
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
        "{%7,%7,%7,%7};"
        : "=r"(c.second[0]), "=r"(c.second[1]), "=r"(c.second[2]), "=r"(c.second[3])
        : "r"(a.word[2]), "r"(a.word[3]), "r"(b.word[1]), "r"(0));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%10,%10,%10,%10};"
        : "=r"(c.first[0]), "=r"(c.first[1]), "=r"(c.first[2]), "=r"(c.first[3])
        : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b.word[0]),
          "r"(b.word[1]), "r"(0));
  }
}

template <tensor_type Type, std::uint32_t Groups>
__global__ void __launch_bounds__(128) run_tensor_tile(const product_arguments a) {
  using body = tensor_tile_body<Type, Groups>;
  static_assert(std::is_trivially_default_constructible_v<typename body::shared>,
                "every thread would run its constructor");
  __shared__ typename body::shared shared;
  typename body::registers r{};
  const place at{blockIdx.x, blockIdx.y, 0, threadIdx.x};
  const std::uint32_t chunks = body::chunks(a);
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
    body::load(chunk, a, at, shared);
    __syncthreads();
    const std::uint32_t units = body::units_of(a, chunk);
#pragma unroll 1
    for (std::uint32_t u = 0; u < units; ++u) {
      const typename body::a_fragment left = body::a(shared, at.thread, u);
#pragma unroll
      for (std::uint32_t g = 0; g < Groups; ++g) {
        typename body::c_fragment c;
        multiply_fragments<body>(left, body::b(shared, at.thread, u, g), c);
        body::absorb(shared, at.thread, u, g, c, u == body::units - 1, r.sum[g],
                     r.isum[body::wide ? g : 0], r.msum[body::keeps_minima ? g : 0]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (std::uint32_t g = 0; g < Groups; ++g) body::write(a, at, g, r.sum[g]);
}

template <tensor_type Type, std::uint32_t Groups>
runtime_code tiles(const product_arguments& a, stream_handle stream) {
  using body = tensor_tile_body<Type, Groups>;
  const dim3 grid(blocks_of(a.w.n, body::outputs), blocks_of(a.rows, body::rows));
  run_tensor_tile<Type, Groups><<<grid, body::threads, 0, stream>>>(a);
  return static_cast<runtime_code>(cudaGetLastError());
}

}  // namespace

runtime_code launch_many_rows(const product_arguments& what, stream_handle stream) {
  if (what.rows == 0 || what.w.n == 0) return 0;
  return for_type(what.w.type, [&]<tensor_type Type>() {
    if constexpr (quantized(Type)) {
      return what.rows <= 16 ? tiles<Type, 2>(what, stream) : tiles<Type, 8>(what, stream);
    } else {
      using body = float_tile_body<Type>;
      return launch<body>(dim3(blocks_of(what.w.n, body::side), blocks_of(what.rows, body::side)),
                          what, stream);
    }
  });
}

runtime_code launch_product(const product_arguments& what, stream_handle stream) {
  return what.rows <= few_rows_max ? launch_few_rows(what, stream) : launch_many_rows(what, stream);
}

}  // namespace troupe::kernels::cuda
