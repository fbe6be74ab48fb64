// A vocabulary's tokens as a tree of their bytes, built once for a tokenizer, so that tokens that
// begin alike are looked at together.
//
// Threading: immutable; any thread may use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe::kernels {

class tokenizer;

class token_trie {
 public:
  // Longer tokens are never allowed: nothing in JSON needs them.
  static constexpr std::size_t token_bytes_max = 1024;

  // texts[id] are the bytes of a token; an empty one (a control token) is never allowed, unless it
  // is one of `ends`, which are allowed exactly where the answer may end.
  token_trie(std::span<const std::string_view> texts, std::span<const token_id> ends);
  explicit token_trie(const tokenizer& words);

  std::size_t vocabulary_size() const { return vocabulary_size_; }
  std::size_t mask_words() const { return (vocabulary_size_ + 63) / 64; }
  std::span<const token_id> ends() const { return ends_; }

  // Nodes stand in the order of their bytes; node 0 is the root. A node's descendants are those
  // after it and before after(node).
  std::uint32_t nodes() const { return static_cast<std::uint32_t>(bytes_.size()); }
  unsigned char byte(std::uint32_t node) const { return bytes_[node]; }
  std::uint32_t depth(std::uint32_t node) const { return depths_[node]; }
  std::uint32_t after(std::uint32_t node) const { return after_[node]; }
  std::span<const token_id> tokens(std::uint32_t node) const {
    return std::span(tokens_).subspan(first_tokens_[node],
                                      first_tokens_[node + 1] - first_tokens_[node]);
  }

 private:
  void build(std::span<const std::string_view> texts);

  std::size_t vocabulary_size_ = 0;
  std::vector<token_id> ends_;
  std::vector<unsigned char> bytes_;
  std::vector<std::uint16_t> depths_;
  std::vector<std::uint32_t> after_;
  std::vector<std::uint32_t> first_tokens_;
  std::vector<token_id> tokens_;
};

}  // namespace troupe::kernels
