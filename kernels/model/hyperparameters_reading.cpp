#include "kernels/model/hyperparameters_reading.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace troupe::kernels {
namespace {

// Positions up to here have exact angles (ops/exact_math.hpp), and every count below stays far from
// overflow.
constexpr std::uint64_t context_max = 1u << 20;
constexpr std::uint64_t size_max = 1u << 24;
constexpr std::uint64_t layers_max = 1024;
constexpr std::uint64_t head_dimension_max = 1024;

error corrupt(const std::string& what,
              std::string mend = "the file is damaged or was written wrongly; fetch it again") {
  return {error_code::data_corrupt, what, std::move(mend)};
}
error unsupported(const std::string& what) {
  return {error_code::unsupported, what,
          "this build computes plain Llama models: Llama 2, Llama 3, Mistral"};
}

// Reads keys until one fails; the first failure is kept.
class key_reader {
 public:
  explicit key_reader(const gguf_file& file) : file_(file) {}

  std::uint32_t count(const std::string& key, std::uint64_t most,
                      std::optional<std::uint64_t> absent = {}) {
    auto found = file_.unsigned_number(key);
    if (!found) return fail(found.failure()), 0;
    if (!*found && !absent) return fail(corrupt("'" + key + "' is missing")), 0;
    const std::uint64_t value = found->value_or(absent.value_or(0));
    if (value == 0 || value > most)
      return fail(corrupt("'" + key + "' is " + std::to_string(value),
                          "1 to " + std::to_string(most) + " are allowed")),
             0;
    return static_cast<std::uint32_t>(value);
  }

  double number(const std::string& key, double least, double most,
                std::optional<double> absent = {}) {
    auto found = file_.number(key);
    if (!found) return fail(found.failure()), 0;
    if (!*found && !absent) return fail(corrupt("'" + key + "' is missing")), 0;
    const double value = found->value_or(absent.value_or(0));
    if (!(value >= least && value <= most))
      return fail(corrupt("'" + key + "' is " + std::to_string(value),
                          std::to_string(least) + " to " + std::to_string(most) + " are allowed")),
             0;
    return value;
  }

  std::string text(const std::string& key) {
    auto found = file_.text(key);
    if (!found) return fail(found.failure()), std::string();
    return std::string(found->value_or(std::string_view()));
  }

  void fail(error e) {
    if (!failure_) failure_ = std::move(e);
  }
  const std::optional<error>& failure() const { return failure_; }

 private:
  const gguf_file& file_;
  std::optional<error> failure_;
};

void read_rope(key_reader& keys, hyperparameters& shape) {
  shape.rope_dimension =
      keys.count("llama.rope.dimension_count", head_dimension_max, shape.head_dimension);
  shape.rope_base = static_cast<float>(keys.number("llama.rope.freq_base", 1.0, 1e12, 10000.0));
  const std::string scaling = keys.text("llama.rope.scaling.type");
  if (scaling == "none") return;
  if (!scaling.empty() && scaling != "linear")
    return keys.fail(unsupported("'llama.rope.scaling.type' is '" + scaling +
                                 "', only none and linear are computed"));
  // The older name of the same number; 0 means that there is none.
  const double older = keys.number("llama.rope.scale_linear", 0, 1e6, 0.0);
  const double factor = keys.number("llama.rope.scaling.factor", 0, 1e6, older);
  if (factor > 0) shape.rope_linear_scale = static_cast<float>(factor);
}

void check_heads(key_reader& keys, const hyperparameters& shape) {
  if (keys.failure()) return;
  if (shape.heads % shape.heads_kv != 0)
    keys.fail(corrupt(std::to_string(shape.heads) + " heads cannot share " +
                      std::to_string(shape.heads_kv) + " key and value heads evenly"));
  if (shape.head_dimension % 2 != 0)
    keys.fail(
        unsupported("a head dimension of " + std::to_string(shape.head_dimension) + " is odd"));
  if (shape.rope_dimension != shape.head_dimension)
    keys.fail(unsupported("'llama.rope.dimension_count' is " +
                          std::to_string(shape.rope_dimension) + " in heads of " +
                          std::to_string(shape.head_dimension)));
}

}  // namespace

result<hyperparameters> read_hyperparameters(const gguf_file& file) {
  key_reader keys(file);
  const std::string architecture = keys.text("general.architecture");
  if (!keys.failure() && architecture.empty())
    keys.fail(corrupt("'general.architecture' is missing"));
  if (!keys.failure() && architecture != "llama")
    keys.fail(unsupported("the architecture is '" + architecture + "'"));
  if (auto experts = file.unsigned_number("llama.expert_count");
      !experts || experts->value_or(0) > 0)
    keys.fail(unsupported("the model is a mixture of experts ('llama.expert_count')"));
  if (keys.failure()) return *keys.failure();

  hyperparameters shape;
  shape.name = keys.text("general.name");
  shape.layers = keys.count("llama.block_count", layers_max);
  shape.embedding = keys.count("llama.embedding_length", size_max);
  shape.feed_forward = keys.count("llama.feed_forward_length", size_max);
  shape.heads = keys.count("llama.attention.head_count", 65536);
  shape.heads_kv = keys.count("llama.attention.head_count_kv", 65536, std::max(1u, shape.heads));
  const std::uint64_t usual = shape.heads == 0 ? 1 : shape.embedding / shape.heads;
  shape.head_dimension = keys.count("llama.attention.key_length", head_dimension_max, usual);
  const std::uint32_t value_length =
      keys.count("llama.attention.value_length", head_dimension_max, usual);
  shape.context_tokens = keys.count("llama.context_length", context_max);
  shape.rms_epsilon =
      static_cast<float>(keys.number("llama.attention.layer_norm_rms_epsilon", 0, 1));
  if (!keys.failure() && value_length != shape.head_dimension)
    keys.fail(unsupported("keys of length " + std::to_string(shape.head_dimension) +
                          " beside values of length " + std::to_string(value_length)));
  if (!keys.failure()) read_rope(keys, shape);
  check_heads(keys, shape);
  if (keys.failure()) return *keys.failure();
  return shape;
}

}  // namespace troupe::kernels
