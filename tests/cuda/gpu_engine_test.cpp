// The CUDA engine on a real device beside the CPU's, logit for logit; skipped where there is none.
#include <doctest/doctest.h>

#include "tests/cuda/engine_cases.hpp"
#include "tests/cuda/real_device.hpp"
#include "tests/cuda/spread_cases.hpp"
#include "tests/cuda/tensor_cases.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

TEST_CASE("gpu: every step of a batch has the CPU engine's bits and so its greedy tokens") {
  if (no_device()) return;
  for (const recipe& from : engine_recipes)
    for (const kv_type kv : {kv_type::f16, kv_type::q8_0}) compare_engines(from, kv);
}

TEST_CASE("gpu: contexts of several spans have the CPU engine's bits") {
  if (no_device()) return;
  compare_long_context(kv_type::f16);
  compare_long_context(kv_type::q8_0);
}

TEST_CASE("gpu: the best of a row have the CPU engine's bits, whatever rows are asked for whole") {
  if (no_device()) return;
  compare_best();
}

TEST_CASE("gpu: recorded decode steps have the CPU engine's bits as positions and blocks change") {
  if (no_device()) return;
  compare_decoding(kv_type::f16);
  compare_decoding(kv_type::q8_0);
}

TEST_CASE("two gpus: a model in layers or in parts of every matrix has the CPU engine's bits") {
  if (no_two_devices()) return;
  for (const gpu_spread spread : {gpu_spread::layers, gpu_spread::tensors})
    for (const recipe& from : engine_recipes) {
      if (from.heads_kv % 2 != 0 || from.layers < 2) continue;
      cuda_settings cuda = on({0, 1});
      cuda.spread = spread;
      compare_spread(from, cuda, kv_type::f16);
    }
}

TEST_CASE("gpu tensor: no batch and no chunk changes a bit, and the processor is near") {
  if (no_device()) return;
  for (const recipe& from : engine_recipes)
    for (const kv_type kv : {kv_type::f16, kv_type::q8_0}) compare_batches(from, kv);
}

TEST_CASE("gpu tensor: recorded steps have the bits of steps launch by launch") {
  if (no_device()) return;
  for (const recipe& from : engine_recipes) compare_recorded(from);
}

TEST_CASE("gpu: what does not fit on the device is refused as a value, and it stays usable") {
  if (no_device()) return;
  const random_model weights{recipe{}};
  auto refused = make_cuda_engine(weights.get(), {}, {.memory = {.model_bytes_max = 1000}});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.failure().code == troupe::error_code::resource_exhausted);
  CHECK(make_cuda_engine(weights.get(), {}, {}).ok());
}
