// What a node's parts get of its settings.
#include "cluster/node/node_settings.hpp"

#include <doctest/doctest.h>

using namespace troupe;

TEST_CASE("a node's GPU multiplies as gpu.numerics says") {
  const auto numerics_of = [](const char* yaml) {
    const auto read = read_settings(yaml, "node.yaml", "/etc/troupe", {});
    REQUIRE(read.ok());
    return cluster::settings_of_node(*read, 1).inference.cuda.numerics;
  };
  CHECK(numerics_of("") == kernels::gpu_numerics::exact);
  CHECK(numerics_of("gpu:\n  numerics: tensor\n") == kernels::gpu_numerics::tensor);
}
