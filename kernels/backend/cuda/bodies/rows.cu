#include "kernels/backend/cuda/bodies/launch.cuh"

namespace troupe::kernels::cuda {
namespace {

template <row_source Source>
runtime_code prepare(std::uint32_t block, const prepare_launch& w, std::uint32_t rows,
                     stream_handle stream) {
  const auto run = [&]<std::uint32_t Block>() {
    using body = prepare_body<Source, Block>;
    return launch<body>(dim3(blocks_of(w.n, body::chunk), rows),
                        {w.x, w.n, w.scales, w.weight, w.up, w.values, w.q, w.d, w.sums}, stream);
  };
  switch (block) {
    case 1:
      return run.template operator()<1>();
    case 32:
      return run.template operator()<32>();
    default:
      return run.template operator()<256>();
  }
}

}  // namespace

runtime_code launch_embed(const embed_launch& what, std::uint32_t rows, stream_handle stream) {
  return for_type(what.table.type, [&]<tensor_type Type>() {
    return launch<embed_body<Type>>(dim3(1, rows), {what.table, what.tokens, what.out}, stream);
  });
}

runtime_code launch_rms_scale(const rms_scale_body::arguments& what, std::uint32_t rows,
                              stream_handle stream) {
  return launch<rms_scale_body>(dim3(1, rows), what, stream);
}

runtime_code launch_prepare(row_source source, std::uint32_t block, const prepare_launch& what,
                            std::uint32_t rows, stream_handle stream) {
  switch (source) {
    case row_source::plain:
      return prepare<row_source::plain>(block, what, rows, stream);
    case row_source::normed:
      return prepare<row_source::normed>(block, what, rows, stream);
    default:
      return prepare<row_source::gated>(block, what, rows, stream);
  }
}

runtime_code launch_gather(const gather_body::arguments& what, std::uint32_t rows,
                           stream_handle stream) {
  return launch<gather_body>(dim3(1, rows), what, stream);
}

runtime_code launch_join(const join_body::arguments& what, std::uint32_t rows,
                         stream_handle stream) {
  return launch<join_body>(dim3(blocks_of(what.n, join_body::chunk), rows), what, stream);
}

}  // namespace troupe::kernels::cuda
