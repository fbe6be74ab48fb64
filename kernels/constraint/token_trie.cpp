#include "kernels/constraint/token_trie.hpp"

#include <algorithm>

#include "kernels/tokenizer/tokenizer.hpp"

namespace troupe::kernels {

token_trie::token_trie(std::span<const std::string_view> texts, std::span<const token_id> ends)
    : vocabulary_size_(texts.size()), ends_(ends.begin(), ends.end()) {
  build(texts);
}

token_trie::token_trie(const tokenizer& words)
    : vocabulary_size_(words.vocabulary_size()),
      ends_(words.end_tokens().begin(), words.end_tokens().end()) {
  std::vector<std::string_view> texts;
  for (std::uint32_t id = 0; id < words.vocabulary_size(); ++id)
    texts.push_back(words.piece(static_cast<token_id>(id)));
  build(texts);
}

void token_trie::build(std::span<const std::string_view> texts) {
  std::vector<token_id> ids;
  for (std::size_t id = 0; id < texts.size(); ++id) {
    const bool is_end =
        std::find(ends_.begin(), ends_.end(), static_cast<token_id>(id)) != ends_.end();
    if (!texts[id].empty() && texts[id].size() <= token_bytes_max && !is_end)
      ids.push_back(static_cast<token_id>(id));
  }
  const auto text_of = [&](token_id id) { return texts[static_cast<std::size_t>(id)]; };
  std::stable_sort(ids.begin(), ids.end(),
                   [&](token_id a, token_id b) { return text_of(a) < text_of(b); });

  std::vector<std::uint32_t> path;  // the nodes of the text before
  const auto add_node = [&](unsigned char byte) {
    path.push_back(nodes());
    bytes_.push_back(byte);
    depths_.push_back(static_cast<std::uint16_t>(path.size() - 1));
    after_.push_back(0);
    first_tokens_.push_back(static_cast<std::uint32_t>(tokens_.size()));
  };
  const auto leave = [&](std::size_t depth) {
    for (; path.size() > depth + 1; path.pop_back()) after_[path.back()] = nodes();
  };
  add_node(0);
  std::string_view before;
  for (const token_id id : ids) {
    const std::string_view text = text_of(id);
    const auto same = std::mismatch(before.begin(), before.end(), text.begin(), text.end()).first;
    leave(static_cast<std::size_t>(same - before.begin()));
    while (path.size() <= text.size()) add_node(static_cast<unsigned char>(text[path.size() - 1]));
    tokens_.push_back(id);
    before = text;
  }
  leave(0);
  after_[0] = nodes();
  first_tokens_.push_back(static_cast<std::uint32_t>(tokens_.size()));
}

}  // namespace troupe::kernels
