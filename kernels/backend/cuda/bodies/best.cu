#include "kernels/backend/cuda/bodies/launch.cuh"

namespace troupe::kernels::cuda {

runtime_code launch_best(const best_launch& what, std::uint32_t rows, stream_handle stream) {
  const runtime_code code =
      for_best_levels(what, rows, [&](const keep_best_body::arguments& a, std::uint32_t chunks) {
        return launch<keep_best_body>(dim3(chunks, rows), a, stream);
      });
  if (code != 0) return code;
  return launch<sum_exponentials_body>(dim3(blocks_of(what.n, sum_exponentials_body::block), rows),
                                       {what.logits, what.n, what.rows, what.best, what.sums},
                                       stream);
}

}  // namespace troupe::kernels::cuda
