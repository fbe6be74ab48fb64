#include "kernels/model/model.hpp"

#include <set>
#include <string>
#include <vector>

#include "kernels/model/hyperparameters_reading.hpp"

namespace troupe::kernels {
namespace {

std::string text_of(const std::vector<std::uint64_t>& shape) {
  std::string text = "[";
  for (const std::uint64_t size : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

// Finds tensors by name and shape, and remembers which of the file's it has seen. The first failure
// is kept.
class tensor_finder {
 public:
  explicit tensor_finder(const gguf_file& file) : file_(file) {}

  const tensor_view* find(const std::string& name, const std::vector<std::uint64_t>& shape) {
    const tensor_view* tensor = file_.find_tensor(name);
    if (tensor == nullptr)
      return fail({error_code::data_corrupt, "tensor '" + name + "' is missing",
                   "the file does not hold a whole Llama model; fetch or convert it again"});
    return check(tensor, shape);
  }
  const tensor_view* find_optional(const std::string& name,
                                   const std::vector<std::uint64_t>& shape) {
    const tensor_view* tensor = file_.find_tensor(name);
    return tensor == nullptr ? nullptr : check(tensor, shape);
  }

  // A tensor that nobody asked for belongs to something that this build would leave out of its
  // sums.
  void refuse_others() {
    for (const tensor_view& tensor : file_.tensors()) {
      const bool frequencies =
          tensor.name.ends_with("attn.rot_embd.weight") ||
          tensor.name.ends_with("attn_rot_embd.weight") ||
          tensor.name.ends_with("rotary_emb.inv_freq");  // derived numbers in older files
      if (!seen_.contains(tensor.name) && !frequencies)
        fail({error_code::unsupported,
              "tensor '" + std::string(tensor.name) + "' has no part in a plain Llama model",
              "this build computes Llama models without biases, experts or adapters"});
    }
  }

  const std::optional<error>& failure() const { return failure_; }

 private:
  const tensor_view* check(const tensor_view* tensor, const std::vector<std::uint64_t>& shape) {
    seen_.insert(tensor->name);
    std::vector<std::uint64_t> found = tensor->shape;
    while (found.size() > shape.size() && found.back() == 1) found.pop_back();
    if (found != shape)
      return fail({error_code::data_corrupt,
                   "tensor '" + std::string(tensor->name) + "' has the shape " +
                       text_of(tensor->shape) + ", but " + text_of(shape) +
                       " follows from the file's metadata",
                   "the file is damaged or was written wrongly; fetch it again"});
    return tensor;
  }
  const tensor_view* fail(error e) {
    if (!failure_) failure_ = std::move(e);
    return nullptr;
  }

  const gguf_file& file_;
  std::set<std::string_view> seen_;
  std::optional<error> failure_;
};

layer_tensors find_layer(tensor_finder& tensors, const hyperparameters& shape,
                         std::uint32_t index) {
  const std::string prefix = "blk." + std::to_string(index) + ".";
  const std::uint64_t width = shape.embedding, hidden = shape.feed_forward;
  const std::uint64_t query = std::uint64_t{shape.heads} * shape.head_dimension;
  const std::uint64_t kv = std::uint64_t{shape.heads_kv} * shape.head_dimension;
  return {.attention_norm = tensors.find(prefix + "attn_norm.weight", {width}),
          .query = tensors.find(prefix + "attn_q.weight", {width, query}),
          .key = tensors.find(prefix + "attn_k.weight", {width, kv}),
          .value = tensors.find(prefix + "attn_v.weight", {width, kv}),
          .attention_output = tensors.find(prefix + "attn_output.weight", {query, width}),
          .feed_forward_norm = tensors.find(prefix + "ffn_norm.weight", {width}),
          .gate = tensors.find(prefix + "ffn_gate.weight", {width, hidden}),
          .up = tensors.find(prefix + "ffn_up.weight", {width, hidden}),
          .down = tensors.find(prefix + "ffn_down.weight", {hidden, width})};
}

status find_tensors(model& made) {
  const gguf_file& file = *made.file;
  hyperparameters& shape = made.shape;
  const tensor_view* table = file.find_tensor("token_embd.weight");
  if (table == nullptr || table->shape.size() < 2 || table->rows() > (1u << 24))
    return error{error_code::data_corrupt,
                 "tensor 'token_embd.weight' is missing or has no table of rows",
                 "a vocabulary alone is no model; fetch the whole file"};
  shape.vocabulary = static_cast<std::uint32_t>(table->rows());

  tensor_finder tensors(file);
  const std::vector<std::uint64_t> table_shape{shape.embedding, shape.vocabulary};
  made.embedding = tensors.find("token_embd.weight", table_shape);
  made.output_norm = tensors.find("output_norm.weight", {shape.embedding});
  made.output = tensors.find_optional("output.weight", table_shape);
  if (made.output == nullptr) made.output = made.embedding;
  made.rope_factors = tensors.find_optional("rope_freqs.weight", {shape.head_dimension / 2});
  for (std::uint32_t i = 0; i < shape.layers && !tensors.failure(); ++i)
    made.layers.push_back(find_layer(tensors, shape, i));
  if (!tensors.failure()) tensors.refuse_others();
  if (tensors.failure()) return *tensors.failure();
  return {};
}

}  // namespace

result<std::shared_ptr<const model>> model::open(const std::filesystem::path& path) {
  const auto fail = [&path](error e) {
    e.message = path.string() + ": " + e.message;
    return e;
  };
  auto file = gguf_file::open(path);
  if (!file) return file.failure();
  auto made = std::make_shared<model>();
  made->path = path;
  made->file = *file;
  auto shape = read_hyperparameters(*made->file);
  if (!shape) return fail(shape.failure());
  made->shape = *shape;
  if (status found = find_tensors(*made); !found) return fail(found.failure());
  auto words = tokenizer::make(*made->file);
  if (!words) return fail(words.failure());
  made->words = *words;
  if (made->words->vocabulary_size() != made->shape.vocabulary)
    return fail({error_code::data_corrupt,
                 "the tokenizer has " + std::to_string(made->words->vocabulary_size()) +
                     " tokens and the embedding " + std::to_string(made->shape.vocabulary) +
                     " rows",
                 "the file is damaged or was written wrongly; fetch it again"});
  return std::shared_ptr<const model>(std::move(made));
}

}  // namespace troupe::kernels
