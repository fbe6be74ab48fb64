// What a step does more where other GPUs have parts of the matrices too (shard.hpp).
#include <algorithm>

#include "kernels/backend/cuda/cuda_engine_cuda.hpp"

namespace troupe::kernels::cuda {

status cuda_engine::reserve_shards(std::uint64_t rows, std::uint64_t& held) {
  const shard& part = parts_.part;
  if (part.whole()) return {};
  const std::uint64_t logits = plan_.logits_of().size();
  const std::uint64_t own =
      std::max({rows * part.each(shape_.embedding), rows * std::uint64_t{here_.feed_forward},
                rows * query_width_, is_last() ? logits * part.each(shape_.vocabulary) : 0});
  const std::pair<device_buffer*, std::uint64_t> wishes[] = {
      {&part_, own},
      {&gathered_, own * part.count},
      {&joined_, rows * std::max(std::uint64_t{shape_.feed_forward}, attended_width_)}};
  for (const auto& [buffer, floats] : wishes) {
    if (status s = buffer->reserve(*parts_.on, floats * sizeof(float), parts_.name); !s) return s;
    held += buffer->size();
  }
  return {};
}

// `part`: each GPU's columns of the rows; to: rows of `width`. One row comes joined as it is.
void cuda_engine::join(const device_buffer& part, std::uint32_t rows, std::uint64_t width,
                       float* to, bool add) {
  const std::uint64_t each = parts_.part.each(width);
  const bool straight = rows == 1 && !add && each * parts_.part.count == width;
  float* const all = straight ? to : gathered_.as<float>();
  note(parts_.group->all_gather(part.as<float>(), all, rows * each, parts_.work->get()));
  if (straight) return;
  note(launch_join({.parts = all, .each = each, .n = width, .rows = rows, .out = to, .add = add},
                   rows, parts_.work->get()));
}

void cuda_engine::multiply_shards(const device_matrix& w, std::uint32_t rows, float* out,
                                  std::uint64_t stride, bool add) {
  if (parts_.part.whole()) return multiply(w, rows, out, stride, add);
  multiply(w, rows, part_.as<float>(), parts_.part.each(stride));
  join(part_, rows, stride, out, add);
}

// The gated hidden values of all shards: floats, since what they are prepared as may need whole
// rows.
const float* cuda_engine::gated_of_all(std::uint32_t rows) {
  note(launch_prepare(row_source::gated, 1,
                      {.x = gate_.as<float>(),
                       .n = here_.feed_forward,
                       .up = up_.as<float>(),
                       .values = part_.as<float>()},
                      rows, parts_.work->get()));
  join(part_, rows, shape_.feed_forward, joined_.as<float>());
  return joined_.as<float>();
}

}  // namespace troupe::kernels::cuda
