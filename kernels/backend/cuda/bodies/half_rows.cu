#include "kernels/backend/cuda/bodies/half_row_bodies.hpp"
#include "kernels/backend/cuda/bodies/launch.cuh"

namespace troupe::kernels::cuda {
namespace {

template <row_source Source>
runtime_code prepare_half(half_form form, const half_row_arguments& w, std::uint32_t rows,
                          stream_handle stream) {
  const auto run = [&]<half_form Form>() {
    return launch<prepare_half_body<Source, Form>>(dim3(1, rows), w, stream);
  };
  return form == half_form::half ? run.template operator()<half_form::half>()
                                 : run.template operator()<half_form::bfloat>();
}

}  // namespace

runtime_code launch_prepare_half(row_source source, half_form form, const half_row_arguments& what,
                                 std::uint32_t rows, stream_handle stream) {
  switch (source) {
    case row_source::plain:
      return prepare_half<row_source::plain>(form, what, rows, stream);
    case row_source::normed:
      return prepare_half<row_source::normed>(form, what, rows, stream);
    default:
      return prepare_half<row_source::gated>(form, what, rows, stream);
  }
}

}  // namespace troupe::kernels::cuda
