#include "kernels/backend/cuda/bodies/attention_bodies.hpp"
#include "kernels/backend/cuda/bodies/launch.cuh"
#include "kernels/backend/cuda/bodies/merge_spans_body.hpp"

namespace troupe::kernels::cuda {
namespace {

template <kv_type Type>
runtime_code attend(const attention_arguments& a, std::uint32_t tiles, stream_handle stream) {
  const dim3 grid(tiles, a.partial == nullptr ? 1 : a.spans);
  switch (a.rows_of_tile) {
    case 4:
      return launch<attend_body<Type, 4>>(grid, a, stream);
    case 8:
      return launch<attend_body<Type, 8>>(grid, a, stream);
    default:
      return launch<attend_body<Type, 16>>(grid, a, stream);
  }
}

}  // namespace

runtime_code launch_rotate_and_store(kv_type type, const rotate_arguments& what, std::uint32_t rows,
                                     stream_handle stream) {
  if (type == kv_type::q8_0)
    return launch<rotate_and_store_body<kv_type::q8_0>>(dim3(1, rows), what, stream);
  return launch<rotate_and_store_body<kv_type::f16>>(dim3(1, rows), what, stream);
}

runtime_code launch_attention(kv_type type, const attention_arguments& what, std::uint32_t tiles,
                              stream_handle stream) {
  const runtime_code code = type == kv_type::q8_0 ? attend<kv_type::q8_0>(what, tiles, stream)
                                                  : attend<kv_type::f16>(what, tiles, stream);
  if (code != 0 || what.partial == nullptr) return code;
  return launch<merge_spans_body>(dim3(tiles, what.rows_of_tile), what, stream);
}

}  // namespace troupe::kernels::cuda
