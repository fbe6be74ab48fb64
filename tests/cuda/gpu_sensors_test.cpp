// What the sensors make of NVML's answers; NVML is played (played_nvml.cpp).
#include "kernels/gpu_sensors.hpp"

#include <doctest/doctest.h>

#include "tests/cuda/played_nvml.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

TEST_CASE("GPU sensors: each GPU is told with its readings, by index and by place") {
  played_nvml& nvml = the_played_nvml();
  nvml = {.count = 2,
          .gpus = {{.bytes = 1000, .bytes_used = 250, .percent = 75, .celsius = 60},
                   {.bytes = 2000, .milliwatts = 350500, .clock_mhz = 1980}}};
  const gpu_sensors sensors;
  REQUIRE(sensors.present());
  const auto all = sensors.all();
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "played");
  CHECK(all[0].memory_bytes == 1000);
  CHECK(all[0].memory_bytes_used == 250);
  CHECK(all[0].busy_share == 0.75);
  CHECK(all[0].celsius == 60.0);
  CHECK(all[1].watts == 350.5);
  CHECK(all[1].clock_mhz == 1980u);
  const auto second = sensors.at("00000000:02:00.0");
  REQUIRE(second.has_value());
  CHECK(second->index == 1);
  CHECK(second->memory_bytes == 2000);
  CHECK_FALSE(sensors.at("00000000:03:00.0").has_value());
  CHECK_FALSE(sensors.at("nonsense").has_value());
}

TEST_CASE("GPU sensors: a GPU that is gone or needs a reset is lost, one in other trouble is not") {
  played_nvml& nvml = the_played_nvml();
  nvml = {.count = 3, .gpus = {{.code = 15}, {.code = 16}, {.code = 999}}};
  const gpu_sensors sensors;
  const auto all = sensors.all();
  REQUIRE(all.size() == 3);
  CHECK(all[0].lost);
  CHECK(all[1].lost);
  CHECK_FALSE(all[2].lost);
  CHECK_FALSE(all[2].celsius.has_value());
  CHECK(sensors.at("00000000:01:00.0")->lost);
}

TEST_CASE("GPU sensors: the library is begun and ended, and where there is none nothing is known") {
  played_nvml& nvml = the_played_nvml();
  nvml = {};
  {
    const gpu_sensors sensors;
    CHECK(nvml.begun == 1);
    CHECK(sensors.all().empty());
  }
  CHECK(nvml.begun == 0);
  const gpu_sensors none("libno-such-library.so.1");
  CHECK_FALSE(none.present());
  CHECK(none.all().empty());
  CHECK_FALSE(none.at("00000000:01:00.0").has_value());
  const gpu_sensors other("libc.so.6");  // a library, but not that one
  CHECK_FALSE(other.present());
}
