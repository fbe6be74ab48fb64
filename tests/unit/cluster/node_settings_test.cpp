// What a node's parts get of its settings.
#include "cluster/node/node_settings.hpp"

#include <doctest/doctest.h>

using namespace troupe;

namespace {

cluster::node_settings node_of(const char* yaml) {
  const auto read = read_settings(yaml, "node.yaml", "/etc/troupe", {});
  REQUIRE(read.ok());
  return cluster::settings_of_node(*read, 1);
}

}  // namespace

TEST_CASE("a node's GPU multiplies as gpu.numerics says") {
  const auto numerics_of = [](const char* yaml) { return node_of(yaml).inference.cuda.numerics; };
  CHECK(numerics_of("") == kernels::gpu_numerics::exact);
  CHECK(numerics_of("gpu:\n  numerics: tensor\n") == kernels::gpu_numerics::tensor);
}

TEST_CASE(
    "several GPUs have what gpu.devices and gpu.spread say; one that is named is the device") {
  const auto none = node_of(""), one = node_of("gpu:\n  devices: [3]\n"),
             two = node_of("gpu:\n  devices: [1, 0]\n  spread: tensors\n");
  CHECK(none.inference.cuda.device == kernels::any_device);
  CHECK(none.inference.cuda.spread == kernels::gpu_spread::layers);
  CHECK(one.inference.cuda.device == 3);
  CHECK(two.inference.cuda.devices == std::vector<int>{1, 0});
  CHECK(two.inference.cuda.spread == kernels::gpu_spread::tensors);
}

TEST_CASE("only a node whose GPU computes is too warm, or bounds what its processor is given") {
  const auto processor = node_of("models:\n  memory_max: 1GiB\n");
  CHECK(processor.gpu_celsius_max == 0);
  CHECK_FALSE(processor.loader.gpu_computes);
  CHECK(processor.inference.processor_bytes_max == 0);
  const auto gpu = node_of("inference:\n  engine: auto\nmodels:\n  memory_max: 1GiB\n");
  CHECK(gpu.gpu_celsius_max == 90);
  CHECK(gpu.inference.processor_bytes_max == std::uint64_t{1} << 30);
  CHECK(gpu.loader.memory_bytes_max == std::uint64_t{1} << 30);
  CHECK(gpu.inference.gpu_partial);
  CHECK(gpu.loader.gpu_computes);
  const auto usual = node_of("inference:\n  engine: auto\ngpu:\n  partial: false\n");
  CHECK_FALSE(usual.inference.gpu_partial);
  CHECK(usual.loader.memory_bytes_max >= usual.inference.processor_bytes_max);
  CHECK(usual.inference.processor_bytes_max > 0);
}
