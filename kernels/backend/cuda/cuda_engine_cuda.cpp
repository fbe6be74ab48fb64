#include "kernels/backend/cuda/cuda_engine_cuda.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/backend/layers.hpp"
#include "kernels/gguf/row_codec.hpp"

namespace troupe::kernels::cuda {
namespace {

// Spans get a block each only while their results stay below this, and while tiles alone would
// leave multiprocessors without work.
constexpr std::uint64_t partial_bytes_max = 128 << 20;
constexpr std::uint64_t tiles_per_multiprocessor = 4;

std::vector<float> factors_of(const model& source) {
  std::vector<float> factors;
  if (source.rope_factors == nullptr) return factors;
  factors.resize(source.rope_factors->row_length());
  decode_row(source.rope_factors->type, source.rope_factors->bytes, factors);
  return factors;
}

std::string class_of(int capability, gpu_numerics numerics, kv_type type) {
  return "cuda-sm" + std::to_string(capability) +
         (numerics == gpu_numerics::tensor ? "-tensor-1" : "-1") +
         (type == kv_type::q8_0 ? "-kvq8" : "");
}

}  // namespace

cuda_engine::cuda_engine(parts from)
    : parts_(std::move(from)),
      transfer_(*parts_.on, *parts_.kv, *parts_.copies),
      shape_(parts_.source->shape),
      here_(shard_of(shape_, parts_.part)),
      angles_(shape_.rope_dimension, shape_.rope_base, shape_.rope_linear_scale,
              factors_of(*parts_.source)),
      plan_(here_, parts_.kv->blocks(), parts_.batch_tokens_max),
      query_width_(std::uint64_t{here_.heads} * shape_.head_dimension),
      kv_width_(std::uint64_t{here_.heads_kv} * shape_.head_dimension),
      qkv_width_(query_width_ + 2 * kv_width_),
      attended_width_(std::uint64_t{shape_.heads} * shape_.head_dimension),
      prepared_width_(std::max(
          {std::uint64_t{shape_.embedding}, std::uint64_t{shape_.feed_forward}, attended_width_})),
      graphs_(parts_.graphs_max) {
  const int capability = parts_.on->description().compute_capability;
  description_ = {.backend = "cuda",
                  .numerics_class = class_of(capability, parts_.numerics, parts_.type),
                  .variant = "sm" + std::to_string(capability),
                  .vocabulary_size = shape_.vocabulary,
                  .embedding_size = shape_.embedding,
                  .context_tokens_max = shape_.context_tokens,
                  .kv_blocks = parts_.kv->blocks(),
                  .weight_bytes = parts_.weights->bytes,
                  .kv_bytes = parts_.kv->bytes()};
  if (is_last()) reads_[form_of(parts_.weights->output.type)] = true;
  for (const cuda_layer& l : parts_.weights->layers)
    for (const device_matrix* m :
         {&l.query, &l.key, &l.value, &l.attention_output, &l.gate, &l.up, &l.down})
      reads_[form_of(m->type)] = true;
}

cuda_engine::~cuda_engine() {
  (void)parts_.on->bind();
  (void)parts_.work->wait("ending an engine");
  parts_.on->leave(parts_.name);
}

// As reserve() and reserve_shards() take it.
std::uint64_t cuda_engine::step_bytes(const hyperparameters& shape, const shard& part,
                                      layer_range layers, std::uint32_t rows) {
  constexpr std::uint64_t logits_rows = 64;
  const hyperparameters here = shard_of(shape, part);
  const std::uint64_t head = shape.head_dimension, query = here.heads * head;
  const std::uint64_t widest = std::max(
      {std::uint64_t{shape.embedding}, std::uint64_t{shape.feed_forward}, shape.heads * head});
  std::uint64_t floats = rows * (2 * std::uint64_t{shape.embedding} + 1 + 3 * query +
                                 2 * here.heads_kv * head + 2 * std::uint64_t{here.feed_forward} +
                                 2 * head + 2 * widest);  // prepared as floats and as codes
  const std::uint64_t logits = std::min<std::uint64_t>(rows, logits_rows);
  if (layers.end == shape.layers) floats += logits * (shape.vocabulary + shape.embedding);
  if (!part.whole())
    floats += rows * widest + (part.count + 1) * std::max(rows * part.each(widest),
                                                          logits * part.each(shape.vocabulary));
  return floats * sizeof(float) + partial_bytes_max;
}

status cuda_engine::reserve(std::uint32_t rows) {
  const auto floats = [](std::uint64_t count) { return count * sizeof(float); };
  const std::uint64_t width = shape_.embedding, hidden = plan_.hidden_of().size();
  const std::uint64_t logits = plan_.logits_of().size(), best = layout_.best_rows;
  const std::pair<device_buffer*, std::uint64_t> wishes[] = {
      // With room to grow: a graph holds while what it names stays where it is.
      {&step_memory_, std::bit_ceil(std::max<std::uint64_t>(layout_.bytes.size(), 1 << 16))},
      {&stream_, floats(rows * width)},
      {&kept_, floats(rows * width)},
      {&scales_, floats(rows)},
      {&qkv_, floats(rows * qkv_width_)},
      {&attended_, floats(rows * query_width_)},
      {&kept_attended_, floats(rows * query_width_)},
      {&gate_, floats(rows * std::uint64_t{here_.feed_forward})},
      {&up_, floats(rows * std::uint64_t{here_.feed_forward})},
      {&logits_, floats(logits * shape_.vocabulary)},
      {&hidden_, floats(hidden * width)},
      {&best_keys_, best * best_keys(shape_.vocabulary) * sizeof(std::uint64_t)},
      {&best_, best * best_logits_max * sizeof(token_logit)},
      {&best_sums_, floats(best * sums_of_row())}};
  std::uint64_t held = 0;  // more than before: something has moved
  for (const auto& [buffer, bytes] : wishes) {
    if (status s = buffer->reserve(*parts_.on, bytes, parts_.name); !s) return s;
    held += buffer->size();
  }
  for (std::uint32_t form = 0; form < row_forms; ++form) {
    if (!reads_[form]) continue;
    const prepared& to = prepared_[form];
    if (status s = reserve_prepared(static_cast<row_form>(form), rows); !s) return s;
    held += to.values.size() + to.q.size() + to.d.size() + to.sums.size();
  }
  for (const std::vector<tile_group>* groups : {&layout_.tiles, &layout_.output_tiles})
    for (const tile_group& group : *groups)
      (void)partial_.reserve(*parts_.on, partial_bytes(group), parts_.name);
  held += partial_.size();
  if (status s = reserve_shards(rows, held); !s) return s;
  if (std::exchange(held_, held) != held) graphs_.forget();
  const std::uint64_t incoming = is_first() ? 0 : floats(rows * width);
  if (status s = staging_.reserve(layout_.bytes.size() + incoming); !s) return s;
  if (!answers()) return {};
  if (!is_last()) return answers_.reserve(floats(rows * width));
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

status cuda_engine::upload(std::span<const float> stream) {
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
  if (status s =
          check(cudaMemcpyAsync(step_memory_.as<void>(), staging_.data(), layout_.bytes.size(),
                                cudaMemcpyHostToDevice, parts_.work->get()),
                "copying a step to the device");
      !s || is_first())
    return s;
  std::uint8_t* const rows = staging_.data() + layout_.bytes.size();
  std::memcpy(rows, stream.data(), stream.size_bytes());
  return check(cudaMemcpyAsync(stream_.as<void>(), rows, stream.size_bytes(),
                               cudaMemcpyHostToDevice, parts_.work->get()),
               "copying the rows of the stage before to the device");
}

// Of the results of spans that get a block each; 0: one block takes all spans of a tile.
std::uint64_t cuda_engine::partial_bytes(const tile_group& group) const {
  const auto multiprocessors = static_cast<std::uint64_t>(parts_.on->description().multiprocessors);
  const std::uint64_t bytes = std::uint64_t{group.count} * group.spans * group.rows_max *
                              (shape_.head_dimension + 2) * sizeof(float);
  const bool split = group.spans > 1 && bytes <= partial_bytes_max &&
                     group.count < multiprocessors * tiles_per_multiprocessor;
  return split ? bytes : 0;
}

void cuda_engine::attend(const device_kv& store, const std::vector<tile_group>& groups) {
  for (const tile_group& group : groups) {
    const std::uint64_t bytes = partial_bytes(group);
    const bool split = bytes > 0 && bytes <= partial_.size();  // it may not have got so much
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
                                .heads = here_.heads,
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
  multiply(layer.gate, rows, gate_.as<float>(), here_.feed_forward);
  multiply(layer.up, rows, up_.as<float>(), here_.feed_forward);
  if (parts_.part.whole())
    prepare_for({&layer.down},
                {.source = row_source::gated,
                 .x = gate_.as<float>(),
                 .n = shape_.feed_forward,
                 .up = up_.as<float>()},
                rows);
  else
    prepare_for({&layer.down}, {.x = gated_of_all(rows), .n = shape_.feed_forward}, rows);
  multiply_shards(layer.down, rows, stream_.as<float>(), shape_.embedding, true);
}

void cuda_engine::compute_layers() {
  auto rows = static_cast<std::uint32_t>(plan_.rows().size());
  if (is_first())
    note(launch_embed(
        {parts_.weights->embedding, uploaded<token_id>(layout_.tokens), stream_.as<float>()}, rows,
        parts_.work->get()));
  const auto here = static_cast<std::uint32_t>(parts_.weights->layers.size());
  for (std::uint32_t i = 0; i < here; ++i) {
    const cuda_layer& layer = parts_.weights->layers[i];
    const bool last = is_last() && i + 1 == here;
    compute_attention(layer, parts_.kv->layer(i), last);
    if (last) {
      rows = static_cast<std::uint32_t>(plan_.outputs().size());
      if (rows == 0) return;
      keep_output_rows();
    }
    const float* attended = attended_.as<float>();
    if (!parts_.part.whole()) {
      join(attended_, rows, attended_width_, joined_.as<float>());
      attended = joined_.as<float>();
    }
    prepare_for({&layer.attention_output}, {.x = attended, .n = attended_width_}, rows);
    multiply_shards(layer.attention_output, rows, stream_.as<float>(), shape_.embedding, true);
    compute_feed_forward(layer, rows);
  }
}

void cuda_engine::compute() {
  compute_layers();
  if (is_last() && !plan_.outputs().empty()) compute_outputs();
}

}  // namespace troupe::kernels::cuda
