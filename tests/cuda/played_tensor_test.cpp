// The CUDA engine in the class `tensor` on a played device.
#include <doctest/doctest.h>

#include "tests/cuda/tensor_cases.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

TEST_CASE("played GPU, tensor: the description names a class of its own") {
  const random_model weights{recipe{.type = tensor_type::f16}};
  CHECK((*tensor_engine(weights, kv_type::f16)).description().numerics_class ==
        "cuda-sm90-tensor-1");
  CHECK((*tensor_engine(weights, kv_type::q8_0)).description().numerics_class ==
        "cuda-sm90-tensor-1-kvq8");
}

TEST_CASE("played GPU, tensor: no batch and no chunk changes a bit, and the processor is near") {
  for (const recipe& from : engine_recipes) compare_batches(from, kv_type::f16);
  compare_batches(engine_recipes[2], kv_type::q8_0);
}

TEST_CASE("played GPU, tensor: recorded steps have the bits of steps launch by launch") {
  compare_recorded(engine_recipes[2]);
  compare_recorded(engine_recipes[4]);
}
