// launches.hpp for the played device: the grids that the .cu files start, with their bodies run on
// the host, now or when a recording is played.
#include <cuda_runtime_api.h>

#include "kernels/backend/cuda/bodies/attention_bodies.hpp"
#include "kernels/backend/cuda/bodies/launches.hpp"
#include "kernels/backend/cuda/bodies/merge_spans_body.hpp"
#include "tests/cuda/played_runtime.hpp"
#include "tests/unit/kernels/cuda_emulation.hpp"
#include "tests/unit/kernels/cuda_half_emulation.hpp"

namespace troupe::kernels::cuda {
namespace {

using testing::thread_order;

// As launch.cuh: what an earlier call left behind is this one's.
runtime_code launched() {
  return static_cast<runtime_code>(cudaGetLastError());
}

template <class Body>
void start(stream_handle on, testing::grid blocks, const typename Body::arguments& a,
           thread_order order = thread_order::mixed) {
  testing::play(on, [=] { testing::emulate<Body>(blocks, a, order); });
}

std::uint32_t cut(std::uint64_t size, std::uint32_t by) {
  return static_cast<std::uint32_t>((size + by - 1) / by);
}

template <class Visit>
runtime_code for_type(tensor_type type, Visit visit) {
  switch (type) {
    case tensor_type::f32:
      visit.template operator()<tensor_type::f32>();
      break;
    case tensor_type::f16:
      visit.template operator()<tensor_type::f16>();
      break;
    case tensor_type::bf16:
      visit.template operator()<tensor_type::bf16>();
      break;
    case tensor_type::q8_0:
      visit.template operator()<tensor_type::q8_0>();
      break;
    case tensor_type::q4_0:
      visit.template operator()<tensor_type::q4_0>();
      break;
    case tensor_type::q4_k:
      visit.template operator()<tensor_type::q4_k>();
      break;
    case tensor_type::q5_k:
      visit.template operator()<tensor_type::q5_k>();
      break;
    case tensor_type::q6_k:
      visit.template operator()<tensor_type::q6_k>();
      break;
  }
  return launched();
}

template <row_source Source>
void prepare(stream_handle on, std::uint32_t block, const prepare_launch& w, std::uint32_t rows) {
  const auto run = [&]<std::uint32_t Block>() {
    using body = prepare_body<Source, Block>;
    start<body>(on, {cut(w.n, body::chunk), rows},
                {w.x, w.n, w.scales, w.weight, w.up, w.values, w.q, w.d, w.sums});
  };
  if (block == 1) run.template operator()<1>();
  if (block == 32) run.template operator()<32>();
  if (block == 256) run.template operator()<256>();
}

template <kv_type Type>
void attend(stream_handle on, const attention_arguments& a, std::uint32_t tiles) {
  const testing::grid blocks{tiles, a.partial == nullptr ? 1 : a.spans};
  if (a.rows_of_tile == 4) start<attend_body<Type, 4>>(on, blocks, a);
  if (a.rows_of_tile == 8) start<attend_body<Type, 8>>(on, blocks, a);
  if (a.rows_of_tile == 16) start<attend_body<Type, 16>>(on, blocks, a);
}

}  // namespace

runtime_code launch_embed(const embed_launch& what, std::uint32_t rows, stream_handle on) {
  return for_type(what.table.type, [&]<tensor_type Type>() {
    start<embed_body<Type>>(on, {1, rows}, {what.table, what.tokens, what.out});
  });
}

runtime_code launch_rms_scale(const rms_scale_body::arguments& what, std::uint32_t rows,
                              stream_handle on) {
  start<rms_scale_body>(on, {1, rows}, what);
  return launched();
}

runtime_code launch_prepare(row_source source, std::uint32_t block, const prepare_launch& what,
                            std::uint32_t rows, stream_handle on) {
  if (source == row_source::plain) prepare<row_source::plain>(on, block, what, rows);
  if (source == row_source::normed) prepare<row_source::normed>(on, block, what, rows);
  if (source == row_source::gated) prepare<row_source::gated>(on, block, what, rows);
  return launched();
}

runtime_code launch_gather(const gather_body::arguments& what, std::uint32_t rows,
                           stream_handle on) {
  start<gather_body>(on, {1, rows}, what, thread_order::falling);
  return launched();
}

runtime_code launch_join(const join_body::arguments& what, std::uint32_t rows, stream_handle on) {
  start<join_body>(on, {cut(what.n, join_body::chunk), rows}, what);
  return launched();
}

runtime_code launch_few_rows(const product_arguments& a, stream_handle on) {
  return for_type(a.w.type, [&]<tensor_type Type>() {
    if constexpr (quantized(Type)) {
      using body = few_rows_body<Type, 8>;
      start<body>(on, {cut(a.w.n, body::outputs), cut(a.rows, 8)}, a);
    } else {
      using body = few_rows_float_body<Type, 8>;
      start<body>(on, {cut(a.w.n, body::outputs), cut(a.rows, 8)}, a);
    }
  });
}

runtime_code launch_many_rows(const product_arguments& a, stream_handle on) {
  return for_type(a.w.type, [&]<tensor_type Type>() {
    if constexpr (quantized(Type)) {
      using body = tensor_tile_body<Type, 2>;
      testing::play(on, [=] {
        testing::emulate_tensor_tile<body>({cut(a.w.n, body::outputs), cut(a.rows, body::rows)}, a,
                                           thread_order::mixed);
      });
    } else {
      using body = float_tile_body<Type>;
      start<body>(on, {cut(a.w.n, body::side), cut(a.rows, body::side)}, a);
    }
  });
}

runtime_code launch_product(const product_arguments& what, stream_handle stream) {
  return what.rows <= 8 ? launch_few_rows(what, stream) : launch_many_rows(what, stream);
}

runtime_code launch_prepare_half(row_source source, half_form form, const half_row_arguments& what,
                                 std::uint32_t rows, stream_handle on) {
  const auto run = [&]<row_source Source>() {
    if (form == half_form::half)
      start<prepare_half_body<Source, half_form::half>>(on, {1, rows}, what);
    else
      start<prepare_half_body<Source, half_form::bfloat>>(on, {1, rows}, what);
  };
  if (source == row_source::plain) run.operator()<row_source::plain>();
  if (source == row_source::normed) run.operator()<row_source::normed>();
  if (source == row_source::gated) run.operator()<row_source::gated>();
  return launched();
}

runtime_code launch_half_few_rows(const half_product_arguments& a, stream_handle on) {
  return for_type(a.w.type, [&]<tensor_type Type>() {
    if constexpr (Type != tensor_type::f32)
      testing::play(on, [=] {
        if (a.rows <= 8)
          testing::emulate_half_few<Type, 1>({cut(a.w.n, 16), 1}, a, thread_order::mixed);
        else
          testing::emulate_half_few<Type, 4>({cut(a.w.n, 16), cut(a.rows, 32)}, a,
                                             thread_order::mixed);
      });
  });
}

runtime_code launch_half_many_rows(const half_product_arguments& a, stream_handle on) {
  return for_type(a.w.type, [&]<tensor_type Type>() {
    if constexpr (Type != tensor_type::f32)
      testing::play(on, [=] {
        testing::emulate_half_tile<Type, 32>({cut(a.w.n, 128), cut(a.rows, 32)}, a,
                                             thread_order::mixed);
      });
  });
}

runtime_code launch_half_product(const half_product_arguments& what, stream_handle stream) {
  return what.rows <= 32 ? launch_half_few_rows(what, stream) : launch_half_many_rows(what, stream);
}

runtime_code launch_rotate_and_store(kv_type type, const rotate_arguments& what, std::uint32_t rows,
                                     stream_handle on) {
  if (type == kv_type::f16)
    start<rotate_and_store_body<kv_type::f16>>(on, {1, rows}, what);
  else
    start<rotate_and_store_body<kv_type::q8_0>>(on, {1, rows}, what);
  return launched();
}

runtime_code launch_attention(kv_type type, const attention_arguments& what, std::uint32_t tiles,
                              stream_handle on) {
  if (type == kv_type::f16)
    attend<kv_type::f16>(on, what, tiles);
  else
    attend<kv_type::q8_0>(on, what, tiles);
  if (what.partial != nullptr) start<merge_spans_body>(on, {tiles, what.rows_of_tile}, what);
  return launched();
}

runtime_code launch_best(const best_launch& what, std::uint32_t rows, stream_handle on) {
  for_best_levels(what, rows, [&](const keep_best_body::arguments& a, std::uint32_t chunks) {
    start<keep_best_body>(on, {chunks, rows}, a);
    return launched();
  });
  start<sum_exponentials_body>(on, {cut(what.n, sum_exponentials_body::block), rows},
                               {what.logits, what.n, what.rows, what.best, what.sums});
  return launched();
}

}  // namespace troupe::kernels::cuda
