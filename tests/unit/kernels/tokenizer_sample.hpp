// Small vocabularies for tests, written as GGUF files and read back.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/gguf/gguf.hpp"
#include "kernels/tokenizer/byte_alphabet.hpp"
#include "kernels/tokenizer/tokenizer.hpp"

namespace tokenizer_sample {

using namespace troupe;
using namespace troupe::kernels;

inline constexpr std::int32_t normal = 1, unknown = 2, control = 3, user_defined = 4, byte = 6;

struct sample {
  std::string kind = {};
  std::string pre = {};
  std::vector<std::string> texts = {};
  std::vector<std::int32_t> kinds = {};
  std::vector<float> scores = {};
  std::vector<std::string> merges = {};
  std::vector<std::pair<std::string, std::uint32_t>> numbers = {};
  std::vector<std::pair<std::string, bool>> flags = {};
  std::string name = {};

  token_id add(std::string text, std::int32_t kind_number = normal, float score = 0.0f) {
    texts.push_back(std::move(text));
    kinds.push_back(kind_number);
    scores.push_back(score);
    return static_cast<token_id>(texts.size() - 1);
  }
  // A merge of two texts (bytes, not the alphabet) and the token that it makes.
  token_id merge(const std::string& left, const std::string& right) {
    merges.push_back(byte_alphabet::from_bytes(left) + " " + byte_alphabet::from_bytes(right));
    return add(byte_alphabet::from_bytes(left + right));
  }

  result<std::shared_ptr<const tokenizer>> build() const {
    static std::atomic<int> count = 0;
    const auto path = std::filesystem::temp_directory_path() /
                      ("troupe-vocabulary-" + std::to_string(::getpid()) + "-" +
                       std::to_string(count++) + ".gguf");
    gguf_writer writer(path);
    if (!kind.empty()) writer.set("tokenizer.ggml.model", kind);
    if (!pre.empty()) writer.set("tokenizer.ggml.pre", pre);
    if (!name.empty()) writer.set("general.name", name);
    if (!texts.empty()) writer.set("tokenizer.ggml.tokens", texts);
    if (!kinds.empty()) writer.set("tokenizer.ggml.token_type", kinds);
    if (!scores.empty()) writer.set("tokenizer.ggml.scores", scores);
    if (kind == "gpt2") writer.set("tokenizer.ggml.merges", merges);
    for (const auto& [key, value] : numbers) writer.set(key, value);
    for (const auto& [key, value] : flags) writer.set(key, value);
    if (status done = writer.finish(); !done) return done.failure();
    const auto file = gguf_file::open(path);
    std::filesystem::remove(path);
    if (!file) return file.failure();
    return tokenizer::make(**file);
  }
};

// Byte-level: token i is byte i, then "<|endoftext|>" (256), "<|im_end|>" (257), "<tool>" (258,
// user-defined).
inline sample byte_level(std::string pre = "gpt-2") {
  sample made{.kind = "gpt2", .pre = std::move(pre)};
  for (int i = 0; i < 256; ++i)
    made.add(byte_alphabet::from_bytes(std::string(1, static_cast<char>(i))));
  made.add("<|endoftext|>", control);
  made.add("<|im_end|>", control);
  made.add("<tool>", user_defined);
  made.numbers = {{"tokenizer.ggml.bos_token_id", 256}, {"tokenizer.ggml.eos_token_id", 256}};
  return made;
}

// SentencePiece: <unk> <s> </s>, then byte b at 3 + b, then "\u2581" (259).
inline sample scored() {
  sample made{.kind = "llama"};
  made.add("<unk>", unknown);
  made.add("<s>", control);
  made.add("</s>", control);
  constexpr char digits[] = "0123456789ABCDEF";
  for (int i = 0; i < 256; ++i)
    made.add(std::string("<0x") + digits[i >> 4] + digits[i & 15] + ">", byte);
  made.add("\u2581", normal, -1000.0f);
  return made;
}

}  // namespace tokenizer_sample
