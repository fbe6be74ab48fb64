// Speed of the CUDA kernels beside the device's own copy, measured in one run and in turn.
//
// A row is one kernel on one shape: the bytes that it must move at least, or the multiply-adds that
// it must do, over the median of its times. The weights of a row's repetitions are different ones,
// larger together than any cache. Products are measured in both classes: "product" keeps the
// processor's order, "tensor" goes through the tensor cores (cuda_settings::numerics).
#pragma once

#include <string>
#include <vector>

#include "kernels/cuda_engine.hpp"

namespace troupe::kernels {

struct cuda_bench_request {
  std::uint32_t repeat = 20;
  std::uint64_t weight_bytes = std::uint64_t{1} << 30;  // that a row's repetitions rotate through
  std::uint64_t n = 4096, k = 4096;                     // of each matrix; k is a multiple of 256
  std::uint32_t context = 8192;                         // of attention's sequences
};

struct cuda_bench_row {
  std::string name;
  double seconds = 0;           // median
  double bytes_per_second = 0;  // that must be moved
  double share_of_copy = 0;     // of the copy measured around this row
  double multiply_adds_per_second = 0;
};

struct cuda_bench_report {
  cuda_device device;
  double copy_bytes_per_second = 0;  // read and written, median of the run
  std::vector<cuda_bench_row> rows;
};

// Errors: as make_cuda_engine(); invalid_argument.
result<cuda_bench_report> bench_cuda(const cuda_settings& cuda, const cuda_bench_request& request);

}  // namespace troupe::kernels
