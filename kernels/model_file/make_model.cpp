#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>

#include "kernels/gguf/row_codec.hpp"
#include "kernels/model_file/counter_normal.hpp"
#include "kernels/model_file/make_tokenizer.hpp"
#include "kernels/model_file/model_file.hpp"
#include "kernels/model_file/parallel_ranges.hpp"

namespace troupe::kernels {
namespace {

enum class content { matrix, norm, rope_factors };

struct tensor_plan {
  std::string name;
  std::vector<std::uint64_t> shape;  // GGUF order
  content holds = content::matrix;
  double deviation = 0;  // of a matrix
};

std::vector<tensor_plan> plan_tensors(const model_shape_row& shape) {
  const std::uint64_t d = shape.embedding, ff = shape.feed_forward, v = shape.vocabulary;
  const std::uint64_t head = d / shape.heads, kv = head * shape.heads_kv;
  const double narrow = 1.0 / std::sqrt(static_cast<double>(d));
  // What is added to the residual stream shrinks with depth, so that deep models keep their scale.
  const double out = 2.0 / std::sqrt(2.0 * shape.layers * static_cast<double>(d));
  const double down = 2.0 / std::sqrt(2.0 * shape.layers * static_cast<double>(ff));
  constexpr double embedding_deviation = 0.05, norm_deviation = 0.1;

  std::vector<tensor_plan> plan;
  plan.push_back({"token_embd.weight", {d, v}, content::matrix, embedding_deviation});
  if (shape.rope_factors)
    plan.push_back({"rope_freqs.weight", {head / 2}, content::rope_factors, 0});
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    plan.push_back({block + "attn_norm.weight", {d}, content::norm, norm_deviation});
    plan.push_back({block + "attn_q.weight", {d, d}, content::matrix, narrow});
    plan.push_back({block + "attn_k.weight", {d, kv}, content::matrix, narrow});
    plan.push_back({block + "attn_v.weight", {d, kv}, content::matrix, narrow});
    plan.push_back({block + "attn_output.weight", {d, d}, content::matrix, out});
    plan.push_back({block + "ffn_norm.weight", {d}, content::norm, norm_deviation});
    plan.push_back({block + "ffn_gate.weight", {d, ff}, content::matrix, narrow});
    plan.push_back({block + "ffn_up.weight", {d, ff}, content::matrix, narrow});
    plan.push_back({block + "ffn_down.weight", {ff, d}, content::matrix, down});
  }
  plan.push_back({"output_norm.weight", {d}, content::norm, norm_deviation});
  if (!shape.tied) plan.push_back({"output.weight", {d, v}, content::matrix, embedding_deviation});
  return plan;
}

// base^(2i / head), i < head / 2, where head / 2 is a power of two: square roots and products
// alone, which every machine rounds alike.
std::vector<double> rope_bases(double base, std::uint64_t half_head) {
  double step = base;
  for (std::uint64_t n = half_head; n > 1; n /= 2) step = std::sqrt(step);
  std::vector<double> powers(half_head, 1.0);
  for (std::uint64_t i = 1; i < half_head; ++i) powers[i] = powers[i - 1] * step;
  return powers;
}

// Llama 3's factors: low frequencies are stretched by 32, high ones are kept, with a slope between.
std::vector<float> rope_factors(double base, std::uint64_t half_head) {
  constexpr double factor = 32, low = 1, high = 4, trained_tokens = 8192, turn = 6.283185307179586;
  std::vector<float> factors;
  for (const double power : rope_bases(base, half_head)) {
    const double turns = trained_tokens / (turn * power);
    if (turns > high) {
      factors.push_back(1.0F);
    } else if (turns < low) {
      factors.push_back(static_cast<float>(factor));
    } else {
      const double smooth = (turns - low) / (high - low);
      factors.push_back(static_cast<float>(1.0 / ((1.0 - smooth) / factor + smooth)));
    }
  }
  return factors;
}

void write_keys(gguf_writer& writer, const model_shape_row& shape, tensor_type type) {
  const std::uint32_t head = shape.embedding / shape.heads;
  writer.set("general.architecture", std::string("llama"));
  writer.set("general.name", "random-" + std::string(shape.name));
  writer.set("general.file_type", std::uint32_t{type == tensor_type::f16 ? 1U : 0U});
  writer.set("general.quantization_version", std::uint32_t{2});
  writer.set("general.alignment", std::uint32_t{32});
  writer.set("llama.block_count", shape.layers);
  writer.set("llama.context_length", shape.context_tokens);
  writer.set("llama.embedding_length", shape.embedding);
  writer.set("llama.feed_forward_length", shape.feed_forward);
  writer.set("llama.attention.head_count", shape.heads);
  writer.set("llama.attention.head_count_kv", shape.heads_kv);
  writer.set("llama.attention.key_length", head);
  writer.set("llama.attention.value_length", head);
  writer.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  writer.set("llama.rope.dimension_count", head);
  writer.set("llama.rope.freq_base", shape.rope_base);
  writer.set("llama.vocab_size", shape.vocabulary);
}

std::vector<float> vector_values(const tensor_plan& tensor, const model_shape_row& shape,
                                 std::uint64_t seed) {
  if (tensor.holds == content::rope_factors) return rope_factors(shape.rope_base, tensor.shape[0]);
  const counter_normal normal(seed, tensor.name, tensor.deviation);
  std::vector<float> values(tensor.shape[0]);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.0F + normal.at(i);
  return values;
}

status write_matrix(gguf_writer& writer, const tensor_plan& tensor,
                    const make_model_settings& settings) {
  const counter_normal normal(settings.seed, tensor.name, tensor.deviation);
  const std::uint64_t row_length = tensor.shape[0];
  const std::uint64_t rows = tensor.shape[1];
  const std::uint64_t row_bytes = row_length * row_of(settings.type).bytes;
  std::vector<std::byte> bytes(rows * row_bytes);
  // Finite values far below a half's largest: encode_row has nothing to refuse.
  std::atomic<bool> refused = false;
  for_ranges(rows, settings.threads, [&](std::uint64_t begin, std::uint64_t end) {
    constexpr std::uint64_t piece = 256;
    float values[piece];
    for (std::uint64_t i = begin * row_length; i < end * row_length; i += piece) {
      const std::uint64_t count = std::min(piece, end * row_length - i);
      for (std::uint64_t k = 0; k < count; ++k) values[k] = normal.at(i + k);
      const std::uint64_t width = row_of(settings.type).bytes;
      if (!encode_row(settings.type, {values, count},
                      std::span(bytes).subspan(i * width, count * width)))
        refused = true;
    }
  });
  if (refused)
    return error{error_code::internal, "tensor '" + tensor.name + "' could not be encoded", {}};
  return writer.write_tensor(bytes);
}

std::string names_of_shapes() {
  std::string names;
  for (const model_shape_row& row : model_shape_table)
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

result<const model_shape_row*> check(const make_model_settings& settings) {
  const auto refuse = [](std::string message, std::string mend) {
    return error{error_code::invalid_argument, std::move(message), std::move(mend)};
  };
  const model_shape_row* shape = nullptr;
  for (const model_shape_row& row : model_shape_table)
    if (row.name == settings.shape) shape = &row;
  if (!shape)
    return refuse("no model shape is called '" + settings.shape + "'",
                  "shapes: " + names_of_shapes());
  bool known = false;
  for (const std::string_view name : model_tokenizer_names)
    known = known || name == settings.tokenizer;
  if (!known)
    return refuse("no tokenizer is called '" + settings.tokenizer + "'",
                  "tokenizers: byte-bpe, sentencepiece");
  if (settings.type != tensor_type::f16 && settings.type != tensor_type::f32)
    return refuse("a model is made in f16 or f32, not " + std::string(row_of(settings.type).name),
                  "make it in f16 and quantize it");
  if (settings.threads < 1 || settings.threads > 256)
    return refuse("threads is " + std::to_string(settings.threads), "1 to 256 are allowed");
  return shape;
}

}  // namespace

result<made_model> make_model(const make_model_settings& settings,
                              const std::filesystem::path& path) try {
  const auto shape = check(settings);
  if (!shape) return shape.failure();
  gguf_writer writer(path);
  made_model made;
  write_keys(writer, **shape, settings.type);
  made.tokens_unused = write_tokenizer(writer, settings.tokenizer, (*shape)->vocabulary);
  const std::vector<tensor_plan> plan = plan_tensors(**shape);
  for (const tensor_plan& tensor : plan) {
    std::uint64_t elements = 1;
    for (const std::uint64_t length : tensor.shape) elements *= length;
    made.parameters += elements;
    writer.add_tensor(tensor.name,
                      tensor.holds == content::matrix ? settings.type : tensor_type::f32,
                      tensor.shape);
  }
  for (const tensor_plan& tensor : plan) {
    status written;
    if (tensor.holds == content::matrix) {
      written = write_matrix(writer, tensor, settings);
    } else {
      written = writer.write_tensor(
          std::as_bytes(std::span<const float>(vector_values(tensor, **shape, settings.seed))));
    }
    if (!written) return written.failure();
  }
  if (const status finished = writer.finish(); !finished) return finished.failure();
  std::error_code ignored;
  made.file_bytes = std::filesystem::file_size(path, ignored);
  return made;
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "not enough memory to make the model",
               "choose a smaller shape"};
}

}  // namespace troupe::kernels
