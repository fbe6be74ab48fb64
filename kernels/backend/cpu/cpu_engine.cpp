#include "kernels/backend/cpu/cpu_engine.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <string>

#include "kernels/backend/layers.hpp"
#include "kernels/gguf/row_codec.hpp"

namespace troupe::kernels {
namespace {

// Below this much work an item costs more to hand out than it saves.
constexpr std::uint64_t item_values_min = 16 * 1024;
constexpr std::uint64_t items_per_thread = 8;

template <class Number>
void grow(std::vector<Number>& buffer, std::uint64_t size) {
  if (buffer.size() < size) buffer.resize(size);
}

std::vector<float> factors_of(const model& source) {
  std::vector<float> factors;
  if (source.rope_factors == nullptr) return factors;
  factors.resize(source.rope_factors->row_length());
  decode_row(source.rope_factors->type, source.rope_factors->bytes, factors);
  return factors;
}

}  // namespace

cpu_engine::cpu_engine(parts from)
    : parts_(std::move(from)),
      transfer_(*parts_.store),
      attention_(parts_.ops->attention_of(parts_.kv)),
      shape_(parts_.source->shape),
      angles_(shape_.rope_dimension, shape_.rope_base, shape_.rope_linear_scale,
              factors_of(*parts_.source)),
      plan_(shape_, parts_.store->blocks(), parts_.batch_tokens_max),
      query_width_(std::uint64_t{shape_.heads} * shape_.head_dimension),
      kv_width_(std::uint64_t{shape_.heads_kv} * shape_.head_dimension),
      qkv_width_(query_width_ + 2 * kv_width_),
      scratch_(parts_.pool->threads() * attention_scratch(shape_.head_dimension)) {
  description_ = {.backend = "cpu",
                  .numerics_class = parts_.kv == kv_type::q8_0 ? "cpu-1-kvq8" : "cpu-1",
                  .variant = std::string(parts_.matmul->name),
                  .vocabulary_size = shape_.vocabulary,
                  .embedding_size = shape_.embedding,
                  .context_tokens_max = shape_.context_tokens,
                  .kv_blocks = parts_.store->blocks(),
                  .weight_bytes = parts_.weights.bytes,
                  .kv_bytes = parts_.store->bytes()};
}

template <class Work>
void cpu_engine::for_row_ranges(std::uint32_t rows, std::uint64_t values_per_row, Work work) {
  const std::uint64_t threads = parts_.pool->threads();
  const std::uint64_t least = (item_values_min + values_per_row - 1) / values_per_row;
  const std::uint64_t chunk =
      std::max<std::uint64_t>(least, (rows + threads * 4 - 1) / (threads * 4));
  parts_.pool->run(static_cast<std::uint32_t>((rows + chunk - 1) / chunk), [&](std::uint32_t item,
                                                                               std::uint32_t) {
    work(static_cast<std::uint32_t>(item * chunk),
         static_cast<std::uint32_t>(std::min<std::uint64_t>(rows, (item + 1) * chunk)));
  });
}

std::uint64_t cpu_engine::chunk_of(std::uint64_t n, std::uint64_t k, std::uint32_t rows) const {
  const std::uint64_t share = n / (parts_.pool->threads() * items_per_thread);
  const std::uint64_t least =
      item_values_min / std::max<std::uint64_t>(1, k * std::min(rows, 4u)) + 1;
  return (std::max(share, least) + packed_rows() - 1) / packed_rows() * packed_rows();
}

void cpu_engine::multiply(std::span<const product> products, std::uint32_t rows) {
  std::uint32_t first_item[4] = {};  // of each product, and the end
  std::uint64_t chunk[3] = {};
  for (std::size_t i = 0; i < products.size(); ++i) {
    const cpu_matrix& matrix = *products[i].matrix;
    chunk[i] = chunk_of(matrix.n, matrix.k, rows);
    first_item[i + 1] =
        first_item[i] + static_cast<std::uint32_t>((matrix.n + chunk[i] - 1) / chunk[i]);
  }
  parts_.pool->run(first_item[products.size()], [&](std::uint32_t item, std::uint32_t) {
    std::size_t i = 0;
    while (item >= first_item[i + 1]) ++i;
    const product& p = products[i];
    const std::uint64_t begin = (item - first_item[i]) * chunk[i];
    parts_.matmul->multiply(*p.matrix->packed, *p.input, rows, begin,
                            std::min(p.matrix->n, begin + chunk[i]), p.out, p.stride);
  });
}

activations& cpu_engine::input_of(tensor_type type, bool feed_forward) {
  return feed_forward ? hidden_input_ : inputs_[static_cast<int>(activation_kind_of(type))];
}

void cpu_engine::prepare(const float* x, std::uint64_t k, std::uint32_t rows, tensor_type type,
                         activations& out) {
  out.reserve(type, k, rows);
  for_row_ranges(rows, k, [&](std::uint32_t begin, std::uint32_t end) {
    parts_.matmul->prepare(type, k, std::span(x, rows * k), begin, end, out);
  });
}

void cpu_engine::norm_and_prepare(const std::vector<float>& weight, std::uint32_t rows,
                                  std::span<const tensor_type> types) {
  const std::uint64_t width = shape_.embedding;
  tensor_type distinct[3];
  std::size_t kinds = 0;
  for (const tensor_type type : types) {
    const bool known = std::any_of(distinct, distinct + kinds, [type](tensor_type other) {
      return activation_kind_of(other) == activation_kind_of(type);
    });
    if (known) continue;
    distinct[kinds++] = type;
    input_of(type).reserve(type, width, rows);
  }
  for_row_ranges(rows, width, [&](std::uint32_t begin, std::uint32_t end) {
    for (std::uint32_t r = begin; r < end; ++r)
      parts_.ops->elementwise.rms_norm(&stream_[r * width], weight.data(), width,
                                       shape_.rms_epsilon, &normed_[r * width]);
    for (std::size_t i = 0; i < kinds; ++i)
      parts_.matmul->prepare(distinct[i], width, std::span(normed_).first(rows * width), begin, end,
                             input_of(distinct[i]));
  });
}

void cpu_engine::add_residual(std::uint32_t rows) {
  const std::uint64_t width = shape_.embedding;
  for_row_ranges(rows, width, [&](std::uint32_t begin, std::uint32_t end) {
    parts_.ops->elementwise.add(&stream_[begin * width], &projected_[begin * width],
                                (end - begin) * width);
  });
}

void cpu_engine::reserve(std::uint32_t rows) {
  grow(stream_, rows * std::uint64_t{shape_.embedding});
  grow(normed_, rows * std::uint64_t{shape_.embedding});
  grow(projected_, rows * std::uint64_t{shape_.embedding});
  grow(qkv_, rows * qkv_width_);
  grow(attended_, rows * query_width_);
  grow(gate_, rows * std::uint64_t{shape_.feed_forward});
  grow(up_, rows * std::uint64_t{shape_.feed_forward});
  grow(cosines_, rows * std::uint64_t{shape_.head_dimension});
  grow(sines_, rows * std::uint64_t{shape_.head_dimension});
  if (parts_.layers.end < shape_.layers) return;
  grow(logits_, plan_.logits_of().size() * std::uint64_t{shape_.vocabulary});
  grow(hidden_, plan_.hidden_of().size() * std::uint64_t{shape_.embedding});
}

// The rows that the first layer here reads: the tokens' embeddings, or what the stage before gave.
void cpu_engine::begin_rows(std::span<const float> stream) {
  const std::uint64_t width = shape_.embedding;
  const tensor_view& table = *parts_.source->embedding;
  const std::uint64_t row_bytes = table.bytes.size() / shape_.vocabulary;
  const std::span<const planned_row> rows = plan_.rows();
  const auto embed = [&](std::uint32_t r) {
    decode_row(
        table.type,
        table.bytes.subspan(static_cast<std::uint64_t>(rows[r].token) * row_bytes, row_bytes),
        std::span(stream_).subspan(r * width, width));
  };
  for_row_ranges(static_cast<std::uint32_t>(rows.size()), width,
                 [&](std::uint32_t begin, std::uint32_t end) {
                   for (std::uint32_t r = begin; r < end; ++r) {
                     if (parts_.layers.first == 0)
                       embed(r);
                     else
                       std::copy_n(&stream[r * width], width, &stream_[r * width]);
                     angles_.fill(rows[r].position, &cosines_[r * shape_.head_dimension],
                                  &sines_[r * shape_.head_dimension]);
                   }
                 });
}

void cpu_engine::store_keys_values(const kv_layer& store) {
  const std::span<const planned_row> rows = plan_.rows();
  const std::uint32_t dimension = shape_.head_dimension;
  for_row_ranges(static_cast<std::uint32_t>(rows.size()), qkv_width_,
                 [&](std::uint32_t begin, std::uint32_t end) {
                   for (std::uint32_t r = begin; r < end; ++r) {
                     float* row = &qkv_[r * qkv_width_];
                     // Queries and keys lie side by side, so that one call turns all heads.
                     parts_.ops->elementwise.rotate(row, shape_.heads + shape_.heads_kv, dimension,
                                                    &cosines_[r * dimension],
                                                    &sines_[r * dimension]);
                     attention_.store(store, rows[r].block, rows[r].position % kv_block_tokens,
                                      row + query_width_, row + query_width_ + kv_width_);
                   }
                 });
}

void cpu_engine::compute_attention(const cpu_layer& layer, const kv_layer& store, bool last) {
  const std::uint32_t rows = static_cast<std::uint32_t>(plan_.rows().size());
  const tensor_type types[] = {layer.query.type, layer.key.type, layer.value.type};
  norm_and_prepare(layer.attention_norm, rows, types);
  const product products[] = {
      {&layer.query, &input_of(layer.query.type), qkv_.data(), qkv_width_},
      {&layer.key, &input_of(layer.key.type), qkv_.data() + query_width_, qkv_width_},
      {&layer.value, &input_of(layer.value.type), qkv_.data() + query_width_ + kv_width_,
       qkv_width_}};
  multiply(products, rows);
  store_keys_values(store);

  const std::span<const planned_tile> tiles = last ? plan_.output_tiles() : plan_.tiles();
  parts_.pool->run(static_cast<std::uint32_t>(tiles.size()), [&](std::uint32_t item,
                                                                 std::uint32_t thread) {
    const planned_tile& tile = tiles[item];
    const planned_sequence& sequence = plan_.sequences()[tile.sequence];
    attention_.attend({.store = store,
                       .blocks = sequence.blocks,
                       .first_position = sequence.position,
                       .kv_head = tile.kv_head,
                       .group = shape_.heads / shape_.heads_kv,
                       .row_begin = tile.row_begin,
                       .row_end = tile.row_end,
                       .queries = &qkv_[sequence.row * qkv_width_],
                       .query_stride = qkv_width_,
                       .out = &attended_[sequence.row * query_width_],
                       .out_stride = query_width_,
                       .scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dimension)),
                       .scratch = &scratch_[thread * attention_scratch(shape_.head_dimension)]});
  });
}

void cpu_engine::keep_output_rows() {
  const std::span<const std::uint32_t> outputs = plan_.outputs();
  for (std::uint32_t i = 0; i < outputs.size();
       ++i) {  // rising, so no row is overwritten before it moved
    if (outputs[i] == i) continue;
    std::copy_n(&stream_[outputs[i] * std::uint64_t{shape_.embedding}], shape_.embedding,
                &stream_[i * std::uint64_t{shape_.embedding}]);
    std::copy_n(&attended_[outputs[i] * query_width_], query_width_, &attended_[i * query_width_]);
  }
}

void cpu_engine::compute_feed_forward(const cpu_layer& layer, std::uint32_t rows) {
  const tensor_type types[] = {layer.gate.type, layer.up.type};
  norm_and_prepare(layer.feed_forward_norm, rows, types);
  const std::uint64_t width = shape_.feed_forward;
  const std::uint64_t chunk = chunk_of(width, shape_.embedding, rows);
  parts_.pool->run(static_cast<std::uint32_t>((width + chunk - 1) / chunk),
                   [&](std::uint32_t item, std::uint32_t) {
                     const std::uint64_t begin = item * chunk, end = std::min(width, begin + chunk);
                     parts_.matmul->multiply(*layer.gate.packed, input_of(layer.gate.type), rows,
                                             begin, end, gate_.data(), width);
                     parts_.matmul->multiply(*layer.up.packed, input_of(layer.up.type), rows, begin,
                                             end, up_.data(), width);
                     for (std::uint32_t r = 0; r < rows; ++r)
                       parts_.ops->elementwise.silu_multiply(&gate_[r * width + begin],
                                                             &up_[r * width + begin], end - begin);
                   });
  prepare(gate_.data(), width, rows, layer.down.type, hidden_input_);
  const product down[] = {{&layer.down, &hidden_input_, projected_.data(), shape_.embedding}};
  multiply(down, rows);
  add_residual(rows);
}

void cpu_engine::compute_layer(std::uint32_t index, bool last) {
  const cpu_layer& layer = parts_.weights.layers[index];
  compute_attention(layer, parts_.store->layer(index), last);
  std::uint32_t rows = static_cast<std::uint32_t>(plan_.rows().size());
  if (last) {
    keep_output_rows();
    rows = static_cast<std::uint32_t>(plan_.outputs().size());
    if (rows == 0) return;
  }
  activations& input = input_of(layer.attention_output.type);
  prepare(attended_.data(), query_width_, rows, layer.attention_output.type, input);
  const product projection[] = {
      {&layer.attention_output, &input, projected_.data(), shape_.embedding}};
  multiply(projection, rows);
  add_residual(rows);
  compute_feed_forward(layer, rows);
}

// The stream holds the rows of outputs(). Hidden rows are copied out, then those whose logits are
// wanted close up.
void cpu_engine::keep_hidden_rows() {
  const std::span<const std::uint32_t> hidden = plan_.hidden_of(), logits = plan_.logits_of();
  if (hidden.empty()) return;
  const std::uint64_t width = shape_.embedding;
  for_row_ranges(static_cast<std::uint32_t>(hidden.size()), width,
                 [&](std::uint32_t begin, std::uint32_t end) {
                   for (std::uint32_t i = begin; i < end; ++i)
                     parts_.ops->elementwise.rms_norm(&stream_[hidden[i] * width],
                                                      parts_.weights.output_norm.data(), width,
                                                      shape_.rms_epsilon, &hidden_[i * width]);
                 });
  for (std::uint32_t i = 0; i < logits.size(); ++i)  // rising, as above
    if (logits[i] != i) std::copy_n(&stream_[logits[i] * width], width, &stream_[i * width]);
}

void cpu_engine::compute_logits(std::uint32_t rows) {
  const cpu_matrix& output = parts_.weights.output;
  norm_and_prepare(parts_.weights.output_norm, rows, std::span(&output.type, 1));
  const product products[] = {{&output, &input_of(output.type), logits_.data(), shape_.vocabulary}};
  multiply(products, rows);
}

// Rows of which the best alone are wanted become these; the others close up. Returns how many are
// left.
std::uint32_t cpu_engine::pick_best() {
  const std::span<const std::uint32_t> wanted = plan_.best_of();
  const std::uint64_t width = shape_.vocabulary;
  std::uint32_t left = 0;
  best_.clear();
  for (std::uint32_t i = 0; i < wanted.size(); ++i) {
    const std::span<const float> row = std::span<const float>(logits_).subspan(i * width, width);
    if (wanted[i] > 0)
      best_.push_back(best_of(row, wanted[i], parts_.ops->elementwise));
    else if (left++ != i)
      std::copy(row.begin(), row.end(), &logits_[(left - 1) * width]);
  }
  return left;
}

result<step_logits> cpu_engine::step(std::span<const sequence_step> batch) {
  auto passed = pass(batch, {});
  if (!passed) return passed.failure();
  return passed->logits;
}

result<stage_output> cpu_engine::pass(std::span<const sequence_step> batch,
                                      std::span<const float> stream) try {
  if (status planned = plan_.make(batch); !planned) return planned.failure();
  const std::uint64_t width = shape_.embedding, count = plan_.rows().size();
  if (status fits = check_stream(parts_.layers, stream.size(), count, width); !fits)
    return fits.failure();
  if (count == 0) return stage_output{};
  reserve(static_cast<std::uint32_t>(count));
  begin_rows(stream);
  const bool last = parts_.layers.end == shape_.layers;
  const auto here = static_cast<std::uint32_t>(parts_.weights.layers.size());
  for (std::uint32_t i = 0; i < here; ++i) compute_layer(i, last && i + 1 == here);
  ++counters_.steps;
  if (!last) return stage_output{.stream = std::span<const float>(stream_).first(count * width)};
  keep_hidden_rows();
  const std::uint32_t all = static_cast<std::uint32_t>(plan_.logits_of().size());
  if (all > 0) compute_logits(all);
  const std::uint32_t rows = pick_best();
  return stage_output{
      .stream = {},
      .logits = {
          .values = std::span<const float>(logits_).first(rows * std::uint64_t{shape_.vocabulary}),
          .rows = rows,
          .hidden = std::span<const float>(hidden_).first(plan_.hidden_of().size() * width),
          .best = best_}};
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory for the rows of this step",
               "lower batch_tokens_max or ask for fewer logits"};
}

}  // namespace troupe::kernels
