// Runs a body (body_math.hpp) as a kernel: one barrier after each of its steps.
#pragma once

#include <type_traits>

#include "kernels/backend/cuda/bodies/launches.hpp"

namespace troupe::kernels::cuda {

template <class Body>
__global__ void __launch_bounds__(Body::threads) run_body(const typename Body::arguments a) {
  static_assert(std::is_trivially_default_constructible_v<typename Body::shared>,
                "every thread would run its constructor");
  __shared__ typename Body::shared shared;
  typename Body::registers registers{};
  const place at{blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x};
  const std::uint32_t steps = Body::steps(a, at);
  for (std::uint32_t i = 0; i < steps; ++i) {
    Body::step(i, a, at, shared, registers);
    __syncthreads();
  }
}

inline std::uint32_t blocks_of(std::uint64_t size, std::uint32_t each) {
  return static_cast<std::uint32_t>((size + each - 1) / each);
}

template <class Body>
runtime_code launch(dim3 grid, const typename Body::arguments& a, stream_handle stream) {
  if (grid.x == 0 || grid.y == 0) return 0;
  run_body<Body><<<grid, Body::threads, 0, stream>>>(a);
  return static_cast<runtime_code>(cudaGetLastError());
}

// Calls visit.template operator()<Type>() for the type that is known only at run time.
template <class Visit>
runtime_code for_type(tensor_type type, Visit visit) {
  switch (type) {
    case tensor_type::f32:
      return visit.template operator()<tensor_type::f32>();
    case tensor_type::f16:
      return visit.template operator()<tensor_type::f16>();
    case tensor_type::bf16:
      return visit.template operator()<tensor_type::bf16>();
    case tensor_type::q8_0:
      return visit.template operator()<tensor_type::q8_0>();
    case tensor_type::q4_0:
      return visit.template operator()<tensor_type::q4_0>();
    case tensor_type::q4_k:
      return visit.template operator()<tensor_type::q4_k>();
    case tensor_type::q5_k:
      return visit.template operator()<tensor_type::q5_k>();
    case tensor_type::q6_k:
      return visit.template operator()<tensor_type::q6_k>();
  }
  return static_cast<runtime_code>(cudaErrorInvalidValue);
}

}  // namespace troupe::kernels::cuda
