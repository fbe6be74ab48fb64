// Starts kernels on a stream: shapes into grids, types into instances. No CUDA header is needed to
// call these. Each returns the runtime's code, 0 where the launch was accepted; what goes wrong
// while a kernel runs shows at the stream's next synchronization.
//
// Pointers are the device's; alignment as the bodies say (rows of codes and of weights' first plane
// at multiples of 16 bytes, which k being a multiple of 32 gives).
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/best_bodies.hpp"
#include "kernels/backend/cuda/bodies/half_product_bodies.hpp"
#include "kernels/backend/cuda/bodies/kv_bodies.hpp"
#include "kernels/backend/cuda/bodies/product_bodies.hpp"
#include "kernels/backend/cuda/bodies/row_bodies.hpp"

struct CUstream_st;

namespace troupe::kernels::cuda {

using stream_handle = CUstream_st*;
using runtime_code = int;

struct embed_launch {
  device_matrix table;
  const std::int32_t* tokens = nullptr;
  float* out = nullptr;
};
runtime_code launch_embed(const embed_launch& what, std::uint32_t rows, stream_handle stream);

runtime_code launch_rms_scale(const rms_scale_body::arguments& what, std::uint32_t rows,
                              stream_handle stream);

// What a product's x is made of, and where it goes (prepare_body).
struct prepare_launch {
  const float* x = nullptr;
  std::uint64_t n = 0;
  const float* scales = nullptr;
  const float* weight = nullptr;
  const float* up = nullptr;
  float* values = nullptr;
  std::int8_t* q = nullptr;
  float* d = nullptr;
  std::int16_t* sums = nullptr;
};
// block: 1 (floats), 32 or 256.
runtime_code launch_prepare(row_source source, std::uint32_t block, const prepare_launch& what,
                            std::uint32_t rows, stream_handle stream);

runtime_code launch_gather(const gather_body::arguments& what, std::uint32_t rows,
                           stream_handle stream);

runtime_code launch_join(const join_body::arguments& what, std::uint32_t rows,
                         stream_handle stream);

// Picks few or many rows by what.rows; the bits are the same.
runtime_code launch_product(const product_arguments& what, stream_handle stream);
// Forces one: for tests and benches.
runtime_code launch_few_rows(const product_arguments& what, stream_handle stream);
runtime_code launch_many_rows(const product_arguments& what, stream_handle stream);

// The same of the class `tensor` (half_product_bodies.hpp); no float32 weights.
runtime_code launch_prepare_half(row_source source, half_form form, const half_row_arguments& what,
                                 std::uint32_t rows, stream_handle stream);
runtime_code launch_half_product(const half_product_arguments& what, stream_handle stream);
runtime_code launch_half_few_rows(const half_product_arguments& what, stream_handle stream);
runtime_code launch_half_many_rows(const half_product_arguments& what, stream_handle stream);

runtime_code launch_rotate_and_store(kv_type type, const rotate_arguments& what, std::uint32_t rows,
                                     stream_handle stream);

// what.tiles of at most what.rows_of_tile rows (4, 8 or 16); what.partial says whether spans are
// split over blocks.
runtime_code launch_attention(kv_type type, const attention_arguments& what, std::uint32_t tiles,
                              stream_handle stream);

// The 64 best of each of `rows` rows, then the sums of its exponentials.
runtime_code launch_best(const best_launch& what, std::uint32_t rows, stream_handle stream);

}  // namespace troupe::kernels::cuda
