// The end of a step: logits and hidden rows, what is copied of them, and what the copy says.
#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/backend/cuda/cuda_engine_cuda.hpp"

namespace troupe::kernels::cuda {

// The stream holds the rows of outputs().
void cuda_engine::compute_outputs() {
  const std::uint64_t width = shape_.embedding;
  const auto hidden = static_cast<std::uint32_t>(plan_.hidden_of().size());
  const auto logits = static_cast<std::uint32_t>(plan_.logits_of().size());
  const auto gather = [&](std::uint64_t index, std::uint32_t rows) {
    note(launch_gather(
        {stream_.as<float>(), width, uploaded<std::uint32_t>(index), kept_.as<float>()}, rows,
        parts_.work->get()));
  };
  if (hidden > 0 && answers()) {
    gather(layout_.hidden, hidden);
    note(launch_rms_scale({kept_.as<float>(), width, shape_.rms_epsilon, scales_.as<float>()},
                          hidden, parts_.work->get()));
    note(launch_prepare(row_source::normed, 1,
                        {.x = kept_.as<float>(),
                         .n = width,
                         .scales = scales_.as<float>(),
                         .weight = parts_.weights->output_norm,
                         .values = hidden_.as<float>()},
                        hidden, parts_.work->get()));
  }
  if (logits > 0) {
    gather(layout_.logits, logits);
    prepare_for({&parts_.weights->output},
                {.source = row_source::normed,
                 .x = kept_.as<float>(),
                 .n = width,
                 .weight = parts_.weights->output_norm},
                logits);
    multiply_shards(parts_.weights->output, logits, logits_.as<float>(), shape_.vocabulary);
  }
  if (layout_.best_rows > 0 && answers()) {
    note(launch_best({.logits = logits_.as<float>(),
                      .n = shape_.vocabulary,
                      .rows = uploaded<std::uint32_t>(layout_.best),
                      .keys = best_keys_.as<std::uint64_t>(),
                      .best = best_.as<token_logit>(),
                      .sums = best_sums_.as<float>()},
                     layout_.best_rows, parts_.work->get()));
  }
}

// In answers_: whole rows, hidden rows, the best of the others, their sums; or the rows that the
// next stage reads.
status cuda_engine::copy_outputs() {
  if (!answers()) return {};
  std::uint8_t* to = answers_.data();
  const auto copy = [&](const device_buffer& from, std::uint64_t at,
                        std::uint64_t bytes) -> status {
    if (bytes == 0) return {};
    std::uint8_t* const begin = std::exchange(to, to + bytes);
    return check(cudaMemcpyAsync(begin, from.as<std::uint8_t>() + at, bytes, cudaMemcpyDeviceToHost,
                                 parts_.work->get()),
                 "copying a step's results");
  };
  if (!is_last())
    return copy(stream_, 0, plan_.rows().size() * std::uint64_t{shape_.embedding} * sizeof(float));
  const std::span<const std::uint32_t> best = plan_.best_of();
  const std::uint64_t row = shape_.vocabulary * sizeof(float);
  for (std::size_t i = 0, end = 0; i < best.size(); i = end + 1) {  // neighbours in one piece
    for (end = i; end < best.size() && best[end] == 0;) ++end;
    if (status s = copy(logits_, i * row, (end - i) * row); !s) return s;
  }
  const std::pair<const device_buffer*, std::uint64_t> others[] = {
      {&hidden_, plan_.hidden_of().size() * std::uint64_t{shape_.embedding} * sizeof(float)},
      {&best_, layout_.best_rows * std::uint64_t{best_logits_max} * sizeof(token_logit)},
      {&best_sums_, layout_.best_rows * sums_of_row() * sizeof(float)}};
  for (const auto& [from, bytes] : others)
    if (status s = copy(*from, 0, bytes); !s) return s;
  return {};
}

stage_output cuda_engine::read_outputs() {
  if (!answers()) return {};
  if (!is_last())
    return {.stream = {reinterpret_cast<const float*>(answers_.data()),
                       plan_.rows().size() * std::uint64_t{shape_.embedding}}};
  const std::uint64_t logits = whole_rows() * shape_.vocabulary;
  const std::uint64_t hidden = plan_.hidden_of().size() * std::uint64_t{shape_.embedding};
  const auto* values = reinterpret_cast<const float*>(answers_.data());
  const auto* best = reinterpret_cast<const token_logit*>(values + logits + hidden);
  const auto* sums =
      reinterpret_cast<const float*>(best + layout_.best_rows * std::uint64_t{best_logits_max});
  found_.clear();
  for (const std::uint32_t count : plan_.best_of()) {
    if (count == 0) continue;
    best_logits& of = found_.emplace_back();
    const bool whole = all_finite(std::span(&best->logit, 1));
    of.tokens.assign(best, best + (whole ? std::min(count, shape_.vocabulary) : 1));
    if (whole) of.exponential_sum = std::accumulate(sums, sums + sums_of_row(), 0.0);
    best += best_logits_max;
    sums += sums_of_row();
  }
  return {.stream = {},
          .logits = {.values = {values, logits},
                     .rows = static_cast<std::uint32_t>(whole_rows()),
                     .hidden = {values + logits, hidden},
                     .best = found_}};
}

}  // namespace troupe::kernels::cuda
