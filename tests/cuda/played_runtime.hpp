// What tests may set about the device that played_runtime.cpp plays.
#pragma once

#include <cstddef>

namespace troupe::kernels::testing {

struct played_device {
  std::size_t bytes = std::size_t{1} << 30;
  std::size_t bytes_used = 0;
  int multiprocessors = 4;
};
played_device& the_played_device();

}  // namespace troupe::kernels::testing
