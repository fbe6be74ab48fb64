#include "kernels/tokenizer/tokenizer.hpp"

#include "kernels/tokenizer/vocabulary_tokenizer.hpp"

namespace troupe::kernels {

result<std::shared_ptr<const tokenizer>> tokenizer::make(const gguf_file& file) {
  constexpr std::string_view model_key = "tokenizer.ggml.model";
  const auto kind = file.text(model_key);
  if (!kind) return kind.failure();
  if (!*kind)
    return error{
        error_code::data_corrupt, std::string(model_key) + ": the file has no tokenizer", {}};
  if (**kind == "gpt2") return make_byte_pair_tokenizer(file);
  if (**kind == "llama") return make_sentence_piece_tokenizer(file);
  return error{error_code::unsupported,
               std::string(model_key) + ": no tokenizer \"" + std::string(**kind) + "\"",
               "known are gpt2, llama"};
}

}  // namespace troupe::kernels
