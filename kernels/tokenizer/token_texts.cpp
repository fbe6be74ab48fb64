#include "kernels/tokenizer/token_texts.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace troupe::kernels {

token_index::token_index(const token_texts& texts) {
  slots_.resize(std::bit_ceil(texts.size() * 2 + 2));
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t number = 0; number < texts.size(); ++number) {
    const std::string_view text = texts[number];
    if (text.empty() || find(texts, text) >= 0) continue;
    longest_ = std::max(longest_, text.size());
    const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
    std::size_t at = hash & mask;
    while (slots_[at].number >= 0) at = (at + 1) & mask;
    slots_[at] = {static_cast<std::uint32_t>(hash >> 32), static_cast<token_id>(number)};
  }
}

token_id token_index::find(const token_texts& texts, std::string_view text) const {
  if (text.empty() || text.size() > longest_) return -1;
  const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask; slots_[at].number >= 0; at = (at + 1) & mask)
    if (slots_[at].tag == tag && texts[slots_[at].number] == text) return slots_[at].number;
  return -1;
}

}  // namespace troupe::kernels
