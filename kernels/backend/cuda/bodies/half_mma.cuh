// The warp's product of half_product_bodies.hpp on the device.
#pragma once

#include "kernels/backend/cuda/bodies/half_product_bodies.hpp"
#include "kernels/backend/cuda/bodies/launch.cuh"

namespace troupe::kernels::cuda {

// sum = a * b + sum. Source: PTX ISA, mma.sync for .f16 and .bf16.
template <half_form Form>
__device__ __forceinline__ void add_product(const half_a& a, const half_b& b, float (&sum)[4]) {
  if constexpr (Form == half_form::half)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b.word[0]),
          "r"(b.word[1]));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b.word[0]),
          "r"(b.word[1]));
}

// As for_type (launch.cuh), for the types that these products take.
template <class Visit>
runtime_code for_half_type(tensor_type type, Visit visit) {
  return for_type(type, [&]<tensor_type Type>() {
    if constexpr (Type == tensor_type::f32)
      return static_cast<runtime_code>(cudaErrorInvalidValue);
    else
      return visit.template operator()<Type>();
  });
}

}  // namespace troupe::kernels::cuda
