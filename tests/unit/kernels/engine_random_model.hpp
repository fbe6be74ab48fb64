// A small model with random weights, made in memory without a file or a tokenizer: what tests of
// the engine compute with. Equal recipes give equal weights.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/model/model.hpp"
#include "kernels/sampler/philox.hpp"

namespace troupe::kernels::testing {

struct recipe {
  std::uint32_t layers = 2, embedding = 64, feed_forward = 96, heads = 4, heads_kv = 2,
                head_dimension = 16;
  std::uint32_t vocabulary = 80, context = 512;
  tensor_type type = tensor_type::f32;        // of all matrices
  tensor_type value_type = tensor_type::f32;  // of `value` and `down`, as mixed files have
  bool tied = false;
  bool factors = false;
  std::uint32_t seed = 1;
};

class random_model {
 public:
  explicit random_model(const recipe& from) : recipe_(from), made_(std::make_shared<model>()) {
    model& m = *made_;
    m.shape = {.name = "random",
               .layers = from.layers,
               .embedding = from.embedding,
               .feed_forward = from.feed_forward,
               .heads = from.heads,
               .heads_kv = from.heads_kv,
               .head_dimension = from.head_dimension,
               .rope_dimension = from.head_dimension,
               .context_tokens = from.context,
               .vocabulary = from.vocabulary,
               .rms_epsilon = 1e-5f,
               .rope_base = 10000.0f,
               .rope_linear_scale = 1.0f};
    const std::uint64_t width = from.embedding, query = from.heads * from.head_dimension,
                        kv = from.heads_kv * from.head_dimension, hidden = from.feed_forward;
    m.embedding = matrix(from.type, width, from.vocabulary, 1.0f);
    m.output = from.tied ? m.embedding : matrix(from.type, width, from.vocabulary, 0.3f);
    m.output_norm = norm(width);
    if (from.factors) m.rope_factors = norm(from.head_dimension / 2);
    for (std::uint32_t i = 0; i < from.layers; ++i)
      m.layers.push_back({.attention_norm = norm(width),
                          .query = matrix(from.type, width, query, 0.3f),
                          .key = matrix(from.type, width, kv, 0.3f),
                          .value = matrix(from.value_type, width, kv, 0.3f),
                          .attention_output = matrix(from.type, query, width, 0.3f),
                          .feed_forward_norm = norm(width),
                          .gate = matrix(from.type, width, hidden, 0.3f),
                          .up = matrix(from.type, width, hidden, 0.3f),
                          .down = matrix(from.value_type, hidden, width, 0.3f)});
  }

  // The views point into this object.
  std::shared_ptr<const model> get() const { return made_; }

 private:
  float uniform() {  // in [-1, 1)
    return static_cast<float>(uniform_draw(recipe_.seed, drawn_++) * 2 - 1);
  }

  const tensor_view* matrix(tensor_type type, std::uint64_t k, std::uint64_t n, float size) {
    const std::uint64_t row_bytes = k / row_of(type).elements * row_of(type).bytes;
    std::vector<std::byte>& bytes = bytes_.emplace_back(n * row_bytes);
    std::vector<float> row(k);
    for (std::uint64_t i = 0; i < n; ++i) {
      for (float& value : row) value = uniform() * size;
      if (!encode_row(type, row, std::span(bytes).subspan(i * row_bytes, row_bytes)))
        return nullptr;
    }
    return &tensors_.emplace_back(
        tensor_view{.name = "matrix", .type = type, .shape = {k, n}, .bytes = bytes});
  }

  const tensor_view* norm(std::uint64_t n) {
    std::vector<std::byte>& bytes = bytes_.emplace_back(n * sizeof(float));
    std::vector<float> row(n);
    for (float& value : row) value = 1.0f + 0.3f * uniform();
    if (!encode_row(tensor_type::f32, row, bytes)) return nullptr;
    return &tensors_.emplace_back(
        tensor_view{.name = "norm", .type = tensor_type::f32, .shape = {n}, .bytes = bytes});
  }

  recipe recipe_;
  std::uint32_t drawn_ = 0;
  std::deque<std::vector<std::byte>> bytes_;
  std::deque<tensor_view> tensors_;
  std::shared_ptr<model> made_;
};

}  // namespace troupe::kernels::testing
