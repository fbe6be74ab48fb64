#include "cluster/node/gpu_readings.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace troupe;

namespace {

kernels::gpu_reading gpu_of(std::optional<double> celsius, bool lost = false) {
  kernels::gpu_reading out;
  out.celsius = celsius;
  out.lost = lost;
  return out;
}

}  // namespace

TEST_CASE("a GPU is too warm above the limit and until it is five degrees below") {
  cluster::warmth warmth(80);
  const auto feel = [&](std::vector<kernels::gpu_reading> seen) { return warmth.feel(seen); };
  CHECK_FALSE(feel({}));
  CHECK_FALSE(feel({gpu_of(80)}));
  CHECK(feel({gpu_of(30), gpu_of(81)}));
  CHECK(feel({gpu_of(30), gpu_of(76)}));
  CHECK_FALSE(feel({gpu_of(75)}));
  CHECK_FALSE(feel({gpu_of(76)}));
  CHECK(feel({gpu_of(90)}));
  CHECK_FALSE(feel({gpu_of(90, true), gpu_of(std::nullopt)}));
}

TEST_CASE("without a limit no GPU is too warm") {
  cluster::warmth warmth(0);
  const std::vector<kernels::gpu_reading> seen{gpu_of(120)};
  CHECK_FALSE(warmth.feel(seen));
}
