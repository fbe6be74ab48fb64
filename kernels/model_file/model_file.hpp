// Making, quantizing and describing model files: what `troupe model make | quantize | inspect` do.
//
// Deterministic: the same arguments give the same bytes on every machine and with any number of
// threads. Files are written under a temporary name and renamed when whole. Any thread may call;
// nothing throws.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/gguf/gguf.hpp"

namespace troupe::kernels {

// Sizes of generated models, Llama architecture. Their weights are random: they answer nonsense, at
// full cost.
struct model_shape_row {
  std::string_view name;
  std::uint32_t embedding, layers, heads, heads_kv, feed_forward, vocabulary;
  bool tied;  // the output uses the embedding's weights
  float rope_base;
  std::uint32_t context_tokens;
  bool rope_factors;  // Llama 3's long-context factors, as rope_freqs.weight
};

inline constexpr model_shape_row model_shape_table[] = {
    {"tiny", 256, 2, 4, 2, 512, 512, false, 10000.0F, 2048, false},
    {"small", 768, 12, 12, 4, 2048, 32000, false, 10000.0F, 8192, false},
    {"1b", 2048, 16, 32, 8, 8192, 32000, true, 500000.0F, 131072, true},
};

// "byte-bpe": 256 byte tokens and merges of a small trainer ("gpt2", pre-tokenizer "llama-bpe").
// "sentencepiece": byte fallback and scored pieces ("llama").
inline constexpr std::string_view model_tokenizer_names[] = {"byte-bpe", "sentencepiece"};

struct make_model_settings {
  std::string shape = "tiny";
  std::string tokenizer = "byte-bpe";
  std::uint64_t seed = 1;
  tensor_type type = tensor_type::f16;  // f16 or f32: of matrices; vectors are f32
  int threads = 2;                      // 1 to 256
};

struct made_model {
  std::uint64_t parameters = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t tokens_unused = 0;  // vocabulary entries that no merge fills
};

// Refuses (invalid_argument) an unknown shape, tokenizer or type, naming those that are known.
result<made_model> make_model(const make_model_settings& settings,
                              const std::filesystem::path& path);

// A tensor that did not get the type that the recipe wanted, since its rows are no multiple of the
// type's block.
struct quantize_fallback {
  std::string tensor;
  std::uint64_t row_length = 0;
  tensor_type wanted = tensor_type::f32;
  tensor_type used = tensor_type::f32;
};

struct quantize_report {
  std::uint64_t tensors = 0;
  std::uint64_t bytes_before = 0;  // of tensor data
  std::uint64_t bytes_after = 0;
  std::vector<quantize_fallback> fallbacks;
};

// Writes `to` with the matrices of `from` in `type` (q8_0, q4_0, q4_k, q5_k, q6_k) and all
// metadata; vectors become f32. The recipe is that of llama.cpp's Q8_0, Q4_0, Q4_K_M, Q5_K_M, Q6_K:
// the output (the embedding where it is tied) is q6_k in all but q8_0, and under q4_k and q5_k half
// of the layers have q6_k for attn_v and ffn_down. Rows that do not divide into blocks fall back to
// q8_0, then f16. Matrices of `from` must be f32, f16, bf16 or q8_0 (invalid_argument).
result<quantize_report> quantize_model(const std::filesystem::path& from,
                                       const std::filesystem::path& to, tensor_type type,
                                       int threads = 2);

struct described_key {
  std::string key;
  std::string type;   // "uint32", "string[32000]"
  std::string value;  // valid UTF-8 without control characters; long texts and arrays are cut and
                      // end in "..."
};

struct described_tensor {
  std::string name;
  tensor_type type = tensor_type::f32;
  std::vector<std::uint64_t> shape;
  std::uint64_t bytes = 0;
};

struct described_type {
  tensor_type type = tensor_type::f32;
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;
};

struct model_description {
  std::uint32_t gguf_version = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t parameters = 0;
  std::uint64_t tensor_bytes = 0;
  std::string digest;                     // empty unless the caller fills it from file_digest()
  std::vector<described_key> metadata;    // sorted by key
  std::vector<described_tensor> tensors;  // file order
  std::vector<described_type> types;      // in the order of tensor_type_table; those that occur

  std::vector<std::string> lines() const;  // for a terminal
};

model_description describe_model(const gguf_file& file);

}  // namespace troupe::kernels
