#include "kernels/backend/cuda/bodies/launch.cuh"

namespace troupe::kernels::cuda {
namespace {

template <tensor_type Type, std::uint32_t Rows>
runtime_code few(const product_arguments& a, stream_handle stream) {
  if constexpr (quantized(Type)) {
    using body = few_rows_body<Type, Rows>;
    return launch<body>(dim3(blocks_of(a.w.n, body::outputs), blocks_of(a.rows, Rows)), a, stream);
  } else {
    using body = few_rows_float_body<Type, Rows>;
    return launch<body>(dim3(blocks_of(a.w.n, body::outputs), blocks_of(a.rows, Rows)), a, stream);
  }
}

}  // namespace

runtime_code launch_few_rows(const product_arguments& what, stream_handle stream) {
  return for_type(what.w.type, [&]<tensor_type Type>() {
    if (what.rows == 1) return few<Type, 1>(what, stream);
    if (what.rows == 2) return few<Type, 2>(what, stream);
    if (what.rows <= 4) return few<Type, 4>(what, stream);
    return few<Type, 8>(what, stream);
  });
}

}  // namespace troupe::kernels::cuda
