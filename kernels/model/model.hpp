// One mapped model file: hyperparameters, tensors and tokenizer, checked against each other.
// Immutable; share it freely.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/gguf/gguf.hpp"
#include "kernels/tokenizer/tokenizer.hpp"

namespace troupe::kernels {

// Llama architecture (Llama 2/3, Mistral). Sizes in elements.
struct hyperparameters {
  std::string name;
  std::uint32_t layers = 0;
  std::uint32_t embedding = 0;
  std::uint32_t feed_forward = 0;
  std::uint32_t heads = 0;
  std::uint32_t heads_kv = 0;  // grouped-query attention: heads % heads_kv == 0
  std::uint32_t head_dimension = 0;
  std::uint32_t rope_dimension = 0;
  std::uint32_t context_tokens = 0;
  std::uint32_t vocabulary = 0;
  float rms_epsilon = 0;
  float rope_base = 0;
  float rope_linear_scale = 1;  // positions are divided by it (rope.scaling.type linear)
};

struct layer_tensors {
  const tensor_view *attention_norm, *query, *key, *value, *attention_output;
  const tensor_view *feed_forward_norm, *gate, *up, *down;
};

class model {
 public:
  // Maps and checks: architecture, every tensor's presence, shape and type, tokenizer against
  // vocabulary.
  static result<std::shared_ptr<const model>> open(const std::filesystem::path& path);

  hyperparameters shape;
  std::vector<layer_tensors> layers;
  const tensor_view* embedding = nullptr;  // [embedding, vocabulary]
  const tensor_view* output_norm = nullptr;
  const tensor_view* output = nullptr;        // the embedding itself where the output is tied
  const tensor_view* rope_factors = nullptr;  // rope_freqs.weight, or null
  std::shared_ptr<const tokenizer> words;
  std::shared_ptr<const gguf_file> file;
  std::filesystem::path path;
};

}  // namespace troupe::kernels
