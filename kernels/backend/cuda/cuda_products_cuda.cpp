// A step's matrix products: in which form their rows of x are made, and which kernel multiplies.
#include <utility>

#include "kernels/backend/cuda/cuda_engine_cuda.hpp"

namespace troupe::kernels::cuda {

cuda_engine::row_form cuda_engine::form_of(tensor_type type) const {
  if (parts_.numerics == gpu_numerics::tensor && type != tensor_type::f32)
    return half_form_of(type) == half_form::half ? halves : bfloats;
  return !quantized(type) ? floats : by_256(type) ? by_256_codes : by_32_codes;
}

status cuda_engine::reserve_prepared(row_form form, std::uint32_t rows) {
  device& on = *parts_.on;
  prepared& to = prepared_[form];
  const std::uint64_t values = rows * prepared_width_;
  const auto each = [&](std::uint64_t block) -> status {
    if (status s = to.q.reserve(on, values, parts_.name); !s) return s;
    if (status s = to.d.reserve(on, values / block * sizeof(float), parts_.name); !s) return s;
    return to.sums.reserve(on, values / 16 * sizeof(std::int16_t), parts_.name);
  };
  switch (form) {
    case floats:
      return to.values.reserve(on, values * sizeof(float), parts_.name);
    case by_32_codes:
      return each(32);
    case by_256_codes:
      return each(256);
    default:
      if (status s = to.d.reserve(on, rows * sizeof(float), parts_.name); !s) return s;
      return to.values.reserve(on, rows * half_width(prepared_width_) * sizeof(std::uint16_t),
                               parts_.name);
  }
}

void cuda_engine::prepare_rows(row_form form, const row_making& what, std::uint32_t rows) {
  const prepared& to = prepared_[form];
  if (form == halves || form == bfloats) {
    note(launch_prepare_half(what.source, form == halves ? half_form::half : half_form::bfloat,
                             {.x = what.x,
                              .n = what.n,
                              .scales = scales_.as<float>(),
                              .weight = what.weight,
                              .up = what.up,
                              .values = to.values.as<std::uint16_t>(),
                              .inverse = to.d.as<float>()},
                             rows, parts_.work->get()));
    return;
  }
  note(launch_prepare(what.source,
                      form == floats        ? 1
                      : form == by_32_codes ? 32
                                            : 256,
                      {.x = what.x,
                       .n = what.n,
                       .scales = scales_.as<float>(),
                       .weight = what.weight,
                       .up = what.up,
                       .values = to.values.as<float>(),
                       .q = to.q.as<std::int8_t>(),
                       .d = to.d.as<float>(),
                       .sums = to.sums.as<std::int16_t>()},
                      rows, parts_.work->get()));
}

void cuda_engine::prepare_for(std::initializer_list<const device_matrix*> readers,
                              const row_making& what, std::uint32_t rows) {
  if (what.source == row_source::normed)
    note(launch_rms_scale({what.x, what.n, shape_.rms_epsilon, scales_.as<float>()}, rows,
                          parts_.work->get()));
  bool made[row_forms] = {};
  for (const device_matrix* reader : readers)
    if (const row_form form = form_of(reader->type); !std::exchange(made[form], true))
      prepare_rows(form, what, rows);
}

void cuda_engine::multiply(const device_matrix& w, std::uint32_t rows, float* out,
                           std::uint64_t stride, bool add) {
  const row_form form = form_of(w.type);
  const prepared& from = prepared_[form];
  if (form == halves || form == bfloats) {
    note(launch_half_product({.w = w,
                              .rows = rows,
                              .x = from.values.as<std::uint16_t>(),
                              .inverse = from.d.as<float>(),
                              .out = out,
                              .out_stride = stride,
                              .add = add},
                             parts_.work->get()));
    return;
  }
  note(launch_product({.w = w,
                       .rows = rows,
                       .values = from.values.as<float>(),
                       .q = from.q.as<std::int8_t>(),
                       .d = from.d.as<float>(),
                       .sums = from.sums.as<std::int16_t>(),
                       .out = out,
                       .out_stride = stride,
                       .add = add},
                      parts_.work->get()));
}

}  // namespace troupe::kernels::cuda
