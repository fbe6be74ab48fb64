#include "kernels/backend/cuda/cuda_engine_cuda.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>

#include "kernels/gguf/row_codec.hpp"

namespace troupe::kernels::cuda {
namespace {

// Spans get a block each only while their results stay below this, and while tiles alone would
// leave multiprocessors without work.
constexpr std::uint64_t partial_bytes_max = 128 << 20;
constexpr std::uint64_t tiles_per_multiprocessor = 4;

std::uint32_t block_of(tensor_type type) {
  return weight_geometry_of(type).values;
}
std::size_t kind_of(tensor_type type) {
  return !quantized(type) ? 0 : by_256(type) ? 2 : 1;
}

std::vector<float> factors_of(const model& source) {
  std::vector<float> factors;
  if (source.rope_factors == nullptr) return factors;
  factors.resize(source.rope_factors->row_length());
  decode_row(source.rope_factors->type, source.rope_factors->bytes, factors);
  return factors;
}

std::string class_of(int capability, kv_type type) {
  return "cuda-sm" + std::to_string(capability) + "-1" + (type == kv_type::q8_0 ? "-kvq8" : "");
}

}  // namespace

cuda_engine::cuda_engine(parts from)
    : parts_(std::move(from)),
      shape_(parts_.source->shape),
      angles_(shape_.rope_dimension, shape_.rope_base, shape_.rope_linear_scale,
              factors_of(*parts_.source)),
      plan_(shape_, parts_.kv->blocks(), parts_.batch_tokens_max),
      query_width_(std::uint64_t{shape_.heads} * shape_.head_dimension),
      kv_width_(std::uint64_t{shape_.heads_kv} * shape_.head_dimension),
      qkv_width_(query_width_ + 2 * kv_width_),
      prepared_width_(std::max(
          {std::uint64_t{shape_.embedding}, std::uint64_t{shape_.feed_forward}, query_width_})) {
  const int capability = parts_.on->description().compute_capability;
  description_ = {.backend = "cuda",
                  .numerics_class = class_of(capability, parts_.type),
                  .variant = "sm" + std::to_string(capability),
                  .vocabulary_size = shape_.vocabulary,
                  .embedding_size = shape_.embedding,
                  .context_tokens_max = shape_.context_tokens,
                  .kv_blocks = parts_.kv->blocks(),
                  .weight_bytes = parts_.weights->bytes,
                  .kv_bytes = parts_.kv->bytes()};
  reads_[kind_of(parts_.weights->output.type)] = true;
  for (const cuda_layer& l : parts_.weights->layers)
    for (const device_matrix* m :
         {&l.query, &l.key, &l.value, &l.attention_output, &l.gate, &l.up, &l.down})
      reads_[kind_of(m->type)] = true;
}

cuda_engine::~cuda_engine() {
  (void)parts_.on->bind();
  (void)parts_.work->wait("ending an engine");
  parts_.on->leave(parts_.name);
}

status cuda_engine::reserve_prepared(prepared& to, std::uint32_t block, std::uint64_t values) {
  device& on = *parts_.on;
  if (block == 1) return to.values.reserve(on, values * sizeof(float), parts_.name);
  if (status s = to.q.reserve(on, values, parts_.name); !s) return s;
  if (status s = to.d.reserve(on, values / block * sizeof(float), parts_.name); !s) return s;
  return to.sums.reserve(on, values / 16 * sizeof(std::int16_t), parts_.name);
}

status cuda_engine::reserve(std::uint32_t rows) {
  const auto floats = [](std::uint64_t count) { return count * sizeof(float); };
  const std::uint64_t width = shape_.embedding, hidden = plan_.hidden_of().size();
  const std::uint64_t logits = plan_.logits_of().size(), best = layout_.best_rows;
  const std::pair<device_buffer*, std::uint64_t> wishes[] = {
      {&step_memory_, layout_.bytes.size()},
      {&stream_, floats(rows * width)},
      {&kept_, floats(rows * width)},
      {&scales_, floats(rows)},
      {&qkv_, floats(rows * qkv_width_)},
      {&attended_, floats(rows * query_width_)},
      {&kept_attended_, floats(rows * query_width_)},
      {&gate_, floats(rows * std::uint64_t{shape_.feed_forward})},
      {&up_, floats(rows * std::uint64_t{shape_.feed_forward})},
      {&logits_, floats(logits * shape_.vocabulary)},
      {&hidden_, floats(hidden * width)},
      {&best_keys_, best * best_keys(shape_.vocabulary) * sizeof(std::uint64_t)},
      {&best_, best * best_logits_max * sizeof(token_logit)},
      {&best_sums_, floats(best * sums_of_row())}};
  for (const auto& [buffer, bytes] : wishes)
    if (status s = buffer->reserve(*parts_.on, bytes, parts_.name); !s) return s;
  constexpr std::uint32_t blocks[] = {1, 32, 256};
  for (int kind = 0; kind < 3; ++kind)
    if (reads_[kind])
      if (status s = reserve_prepared(prepared_[kind], blocks[kind], rows * prepared_width_); !s)
        return s;
  if (status s = staging_.reserve(layout_.bytes.size()); !s) return s;
  return answers_.reserve(
      floats(whole_rows() * shape_.vocabulary + hidden * width + best * sums_of_row()) +
      best * best_logits_max * sizeof(token_logit));
}

void cuda_engine::extend_angles(std::uint32_t positions) {
  const std::uint64_t dimension = shape_.head_dimension;
  std::uint32_t known = static_cast<std::uint32_t>(cosines_.size() / dimension);
  if (known >= positions) return;
  cosines_.resize(positions * dimension);
  sines_.resize(positions * dimension);
  for (; known < positions; ++known)
    angles_.fill(known, &cosines_[known * dimension], &sines_[known * dimension]);
}

status cuda_engine::upload() {
  const std::uint64_t dimension = shape_.head_dimension;
  step_cosines_.clear();
  step_sines_.clear();
  for (const planned_row& row : plan_.rows()) {
    extend_angles(row.position + 1);
    const auto at = static_cast<std::ptrdiff_t>(row.position * dimension);
    const auto end = at + static_cast<std::ptrdiff_t>(dimension);
    step_cosines_.insert(step_cosines_.end(), cosines_.begin() + at, cosines_.begin() + end);
    step_sines_.insert(step_sines_.end(), sines_.begin() + at, sines_.begin() + end);
  }
  lay_out(plan_, shape_.heads / shape_.heads_kv, step_cosines_, step_sines_, layout_);
  if (status s = reserve(static_cast<std::uint32_t>(plan_.rows().size())); !s) return s;
  std::memcpy(staging_.data(), layout_.bytes.data(), layout_.bytes.size());
  return check(cudaMemcpyAsync(step_memory_.as<void>(), staging_.data(), layout_.bytes.size(),
                               cudaMemcpyHostToDevice, parts_.work->get()),
               "copying a step to the device");
}

void cuda_engine::prepare_for(std::initializer_list<const device_matrix*> readers,
                              const row_making& what, std::uint32_t rows) {
  if (what.source == row_source::normed)
    note(launch_rms_scale({what.x, what.n, shape_.rms_epsilon, scales_.as<float>()}, rows,
                          parts_.work->get()));
  bool made[3] = {};
  for (const device_matrix* reader : readers) {
    const std::size_t kind = kind_of(reader->type);
    if (std::exchange(made[kind], true)) continue;
    const prepared& to = prepared_[kind];
    note(launch_prepare(what.source, block_of(reader->type),
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
}

void cuda_engine::multiply(const device_matrix& w, std::uint32_t rows, float* out,
                           std::uint64_t stride, bool add) {
  const prepared& from = prepared_[kind_of(w.type)];
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

void cuda_engine::attend(const device_kv& store, const std::vector<tile_group>& groups) {
  const auto multiprocessors = static_cast<std::uint64_t>(parts_.on->description().multiprocessors);
  for (const tile_group& group : groups) {
    const std::uint64_t bytes = std::uint64_t{group.count} * group.spans * group.rows_max *
                                (shape_.head_dimension + 2) * sizeof(float);
    bool split = group.spans > 1 && bytes <= partial_bytes_max &&
                 group.count < multiprocessors * tiles_per_multiprocessor;
    // Kernels of the layer before may still read what a growing buffer gives back.
    if (split && bytes > partial_.size())
      split = parts_.work->wait("growing attention's results").ok() &&
              partial_.reserve(*parts_.on, bytes, parts_.name).ok();
    note(launch_attention(parts_.type,
                          {.store = store,
                           .tiles = uploaded<attention_tile>(group.at),
                           .blocks = uploaded<std::uint32_t>(layout_.blocks),
                           .group = shape_.heads / shape_.heads_kv,
                           .queries = qkv_.as<float>(),
                           .query_stride = qkv_width_,
                           .out = attended_.as<float>(),
                           .out_stride = query_width_,
                           .scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dimension)),
                           .partial = split ? partial_.as<float>() : nullptr,
                           .spans = group.spans,
                           .rows_of_tile = group.rows_max},
                          group.count, parts_.work->get()));
  }
}

void cuda_engine::compute_attention(const cuda_layer& layer, const device_kv& store, bool last) {
  const auto rows = static_cast<std::uint32_t>(plan_.rows().size());
  prepare_for({&layer.query, &layer.key, &layer.value},
              {.source = row_source::normed,
               .x = stream_.as<float>(),
               .n = shape_.embedding,
               .weight = layer.attention_norm},
              rows);
  float* qkv = qkv_.as<float>();
  multiply(layer.query, rows, qkv, qkv_width_);
  multiply(layer.key, rows, qkv + query_width_, qkv_width_);
  multiply(layer.value, rows, qkv + query_width_ + kv_width_, qkv_width_);
  note(launch_rotate_and_store(parts_.type,
                               {.store = store,
                                .rows = qkv,
                                .stride = qkv_width_,
                                .heads = shape_.heads,
                                .cosines = uploaded<float>(layout_.cosines),
                                .sines = uploaded<float>(layout_.sines),
                                .at = uploaded<std::uint32_t>(layout_.slots)},
                               rows, parts_.work->get()));
  attend(store, last ? layout_.output_tiles : layout_.tiles);
}

void cuda_engine::keep_output_rows() {
  const auto rows = static_cast<std::uint32_t>(plan_.outputs().size());
  const auto* index = uploaded<std::uint32_t>(layout_.outputs);
  note(launch_gather({stream_.as<float>(), shape_.embedding, index, kept_.as<float>()}, rows,
                     parts_.work->get()));
  note(launch_gather({attended_.as<float>(), query_width_, index, kept_attended_.as<float>()}, rows,
                     parts_.work->get()));
  std::swap(stream_, kept_);
  std::swap(attended_, kept_attended_);
}

void cuda_engine::compute_feed_forward(const cuda_layer& layer, std::uint32_t rows) {
  prepare_for({&layer.gate, &layer.up},
              {.source = row_source::normed,
               .x = stream_.as<float>(),
               .n = shape_.embedding,
               .weight = layer.feed_forward_norm},
              rows);
  multiply(layer.gate, rows, gate_.as<float>(), shape_.feed_forward);
  multiply(layer.up, rows, up_.as<float>(), shape_.feed_forward);
  prepare_for({&layer.down},
              {.source = row_source::gated,
               .x = gate_.as<float>(),
               .n = shape_.feed_forward,
               .up = up_.as<float>()},
              rows);
  multiply(layer.down, rows, stream_.as<float>(), shape_.embedding, true);
}

void cuda_engine::compute_layers() {
  auto rows = static_cast<std::uint32_t>(plan_.rows().size());
  note(launch_embed(
      {parts_.weights->embedding, uploaded<token_id>(layout_.tokens), stream_.as<float>()}, rows,
      parts_.work->get()));
  for (std::uint32_t i = 0; i < shape_.layers; ++i) {
    const cuda_layer& layer = parts_.weights->layers[i];
    const bool last = i + 1 == shape_.layers;
    compute_attention(layer, parts_.kv->layer(i), last);
    if (last) {
      rows = static_cast<std::uint32_t>(plan_.outputs().size());
      if (rows == 0) return;
      keep_output_rows();
    }
    prepare_for({&layer.attention_output}, {.x = attended_.as<float>(), .n = query_width_}, rows);
    multiply(layer.attention_output, rows, stream_.as<float>(), shape_.embedding, true);
    compute_feed_forward(layer, rows);
  }
}

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
  if (hidden > 0) {
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
    multiply(parts_.weights->output, logits, logits_.as<float>(), shape_.vocabulary);
  }
  if (layout_.best_rows > 0) {
    note(launch_best({.logits = logits_.as<float>(),
                      .n = shape_.vocabulary,
                      .rows = uploaded<std::uint32_t>(layout_.best),
                      .keys = best_keys_.as<std::uint64_t>(),
                      .best = best_.as<token_logit>(),
                      .sums = best_sums_.as<float>()},
                     layout_.best_rows, parts_.work->get()));
  }
}

// In answers_: whole rows, hidden rows, the best of the others, their sums.
status cuda_engine::copy_outputs() {
  std::uint8_t* to = answers_.data();
  const auto copy = [&](const device_buffer& from, std::uint64_t at,
                        std::uint64_t bytes) -> status {
    if (bytes == 0) return {};
    std::uint8_t* const begin = std::exchange(to, to + bytes);
    return check(cudaMemcpyAsync(begin, from.as<std::uint8_t>() + at, bytes, cudaMemcpyDeviceToHost,
                                 parts_.work->get()),
                 "copying a step's results");
  };
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

step_logits cuda_engine::read_outputs() {
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
  return {.values = {values, logits},
          .rows = static_cast<std::uint32_t>(whole_rows()),
          .hidden = {values + logits, hidden},
          .best = found_};
}

result<step_logits> cuda_engine::step(std::span<const sequence_step> batch) try {
  if (status planned = plan_.make(batch); !planned) return planned.failure();
  if (plan_.rows().empty()) return step_logits{};
  if (status s = parts_.on->bind(); !s) return s.failure();
  parts_.on->use(parts_.name);
  if (status s = upload(); !s) return s.failure();
  code_ = 0;
  compute_layers();
  if (!plan_.outputs().empty()) compute_outputs();
  const status copied = copy_outputs();
  // Whatever was refused, nothing of the step runs on when the caller has the answer.
  if (status s = parts_.work->wait("computing a step"); !s) return s.failure();
  if (status s = check(code_, "starting a kernel"); !s) return s.failure();
  if (!copied) return copied.failure();
  return read_outputs();
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory for the rows of this step",
               "lower batch_tokens_max or ask for fewer logits"};
}

}  // namespace troupe::kernels::cuda
