#include "kernels/backend/cuda/bodies/half_mma.cuh"
#include "kernels/backend/cuda/bodies/half_tile_body.hpp"

namespace troupe::kernels::cuda {
namespace {

// Up to so many rows blocks of 16 outputs, which fill a device at any width, beat tiles of 128.
constexpr std::uint32_t half_few_rows_max = 32;

// All of a warp's products of one group.
template <class Body, half_form Form>
__device__ __forceinline__ void multiply_group(const typename Body::shared& shared,
                                               std::uint32_t thread, std::uint32_t group,
                                               typename Body::sums& into) {
#pragma unroll
  for (std::uint32_t half = 0; half < 2; ++half) {
    typename Body::a_pair left[Body::m_tiles];
#pragma unroll
    for (std::uint32_t m = 0; m < Body::m_tiles; ++m)
      left[m] = Body::a(shared, thread, group, half, m);
#pragma unroll
    for (std::uint32_t t = 0; t < Body::n_tiles; ++t) {
      const typename Body::b_pair right = Body::b(shared, thread, group, half, t);
#pragma unroll
      for (std::uint32_t product = 0; product < 2; ++product) {
#pragma unroll
        for (std::uint32_t m = 0; m < Body::m_tiles; ++m)
          add_product<Form>(left[m].of(product), right.of(product), into.sum[m][t]);
      }
    }
  }
}

template <tensor_type Type, std::uint32_t Rows>
__global__ void __launch_bounds__(256, Rows > 64 ? 1 : 2)
    run_half_tile(const half_product_arguments a) {
  using body = half_tile_body<Type, Rows>;
  extern __shared__ quad memory[];
  auto& shared = *reinterpret_cast<typename body::shared*>(memory);
  const place at{blockIdx.x, blockIdx.y, 0, threadIdx.x};
  const half_slices slices = half_slices_of(a.w.k);
  typename body::sums of = {};
  typename body::fetched kept;
  body::fetch(a, at, 0, shared, kept);
  body::store(at, 0, kept, shared);
#pragma unroll 1
  for (std::uint32_t group = 0; group < slices.groups; ++group) {
    const bool more = group + 1 < slices.groups;
    __syncthreads();
    if (more) body::fetch(a, at, group + 1, shared, kept);
    multiply_group<body, half_form_of(Type)>(shared, at.thread, group, of);
    if (more) body::store(at, group + 1, kept, shared);
    if (body::ends_slice(slices, group)) body::finish_slice(of);
  }
  body::write(a, at, of);
}

template <tensor_type Type, std::uint32_t Rows>
runtime_code half_tiles(const half_product_arguments& a, stream_handle stream) {
  using body = half_tile_body<Type, Rows>;
  constexpr int bytes = sizeof(typename body::shared);
  // More than 48 KiB have to be asked for, on each device.
  if (const auto code = cudaFuncSetAttribute(run_half_tile<Type, Rows>,
                                             cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
      code != cudaSuccess)
    return static_cast<runtime_code>(code);
  const dim3 grid(blocks_of(a.w.n, body::outputs), blocks_of(a.rows, body::rows));
  run_half_tile<Type, Rows><<<grid, body::threads, bytes, stream>>>(a);
  return static_cast<runtime_code>(cudaGetLastError());
}

// Large tiles read and decode weights less often, small ones give more of a device something to do.
bool fills_device(const half_product_arguments& a, std::uint32_t tile_rows) {
  int device = 0, multiprocessors = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device) !=
          cudaSuccess)
    return true;
  const std::uint64_t tiles = std::uint64_t{blocks_of(a.w.n, 128)} * blocks_of(a.rows, tile_rows);
  return 2 * tiles >= static_cast<std::uint64_t>(multiprocessors);
}

}  // namespace

runtime_code launch_half_many_rows(const half_product_arguments& what, stream_handle stream) {
  if (what.rows == 0 || what.w.n == 0) return 0;
  const bool large = what.rows > 64 && fills_device(what, 128);
  return for_half_type(what.w.type, [&]<tensor_type Type>() {
    return large ? half_tiles<Type, 128>(what, stream) : half_tiles<Type, 32>(what, stream);
  });
}

runtime_code launch_half_product(const half_product_arguments& what, stream_handle stream) {
  return what.rows <= half_few_rows_max ? launch_half_few_rows(what, stream)
                                        : launch_half_many_rows(what, stream);
}

}  // namespace troupe::kernels::cuda
