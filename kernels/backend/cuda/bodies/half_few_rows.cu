#include "kernels/backend/cuda/bodies/half_mma.cuh"

namespace troupe::kernels::cuda {
namespace {

template <tensor_type Type, std::uint32_t Tiles>
__global__ void __launch_bounds__(256, 2) run_half_few(const half_product_arguments a) {
  using body = half_few_body<Type, Tiles>;
  __shared__ typename body::shared shared;
  const place at{blockIdx.x, blockIdx.y, 0, threadIdx.x};
  const typename body::groups own = body::groups_of(a, at);
  float sum[Tiles][4] = {};
#pragma unroll 1
  for (std::uint32_t first = own.begin; first < own.end; first += body::ahead) {
    typename body::group_bytes read[body::ahead];
#pragma unroll
    for (std::uint32_t i = 0; i < body::ahead; ++i)
      if (first + i < own.end) read[i] = body::read(a, at, first + i);
#pragma unroll
    for (std::uint32_t i = 0; i < body::ahead; ++i) {
      if (first + i >= own.end) break;  // the whole warp
      const typename body::group_halves made = body::made(read[i], at, first + i);
#pragma unroll
      for (std::uint32_t j = 0; j < 4; ++j) {
        const half_a left = body::a(made, j);
#pragma unroll
        for (std::uint32_t tile = 0; tile < Tiles; ++tile)
          add_product<half_form_of(Type)>(left, body::b(made, tile, j), sum[tile]);
      }
    }
  }
  body::keep(shared, at.thread, sum);
  __syncthreads();
  body::write(a, at, shared);
}

template <tensor_type Type, std::uint32_t Tiles>
runtime_code half_few(const half_product_arguments& a, stream_handle stream) {
  using body = half_few_body<Type, Tiles>;
  const dim3 grid(blocks_of(a.w.n, body::outputs), blocks_of(a.rows, body::rows));
  run_half_few<Type, Tiles><<<grid, body::threads, 0, stream>>>(a);
  return static_cast<runtime_code>(cudaGetLastError());
}

}  // namespace

runtime_code launch_half_few_rows(const half_product_arguments& what, stream_handle stream) {
  if (what.rows == 0 || what.w.n == 0) return 0;
  return for_half_type(what.w.type, [&]<tensor_type Type>() {
    if (what.rows <= 8) return half_few<Type, 1>(what, stream);
    if (what.rows <= 16) return half_few<Type, 2>(what, stream);
    return half_few<Type, 4>(what, stream);
  });
}

}  // namespace troupe::kernels::cuda
