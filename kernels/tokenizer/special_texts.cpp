#include "kernels/tokenizer/special_texts.hpp"

#include <algorithm>

namespace troupe::kernels {
namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

special_texts::special_texts(const vocabulary& words) : tree_(1) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const token_kind kind = words.kinds[i];
    const bool on_demand = kind == token_kind::control || kind == token_kind::unknown;
    if ((!on_demand && kind != token_kind::user_defined) || words.texts[i].empty()) continue;
    specials_.push_back(
        {words.texts[i], static_cast<token_id>(i), on_demand, words.strips_right[i]});
  }
  std::stable_sort(specials_.begin(), specials_.end(), [](const special& a, const special& b) {
    return a.text.size() > b.text.size();
  });
  for (std::uint32_t place = 0; place < specials_.size(); ++place) grow(place);
  for (const auto& [byte, child] : tree_[0].children) roots_[byte] = child;
}

void special_texts::grow(std::uint32_t place) {
  std::uint32_t at = 0;
  for (const char c : specials_[place].text) {
    const auto byte = static_cast<unsigned char>(c);
    auto& children = tree_[at].children;
    const auto child =
        std::lower_bound(children.begin(), children.end(), std::pair(byte, std::uint32_t{0}));
    if (child != children.end() && child->first == byte) {
      at = child->second;
      continue;
    }
    const auto fresh = static_cast<std::uint32_t>(tree_.size());
    children.insert(child, {byte, fresh});
    tree_.emplace_back();
    at = fresh;
  }
  tree_[at].ends.push_back(place);
}

// Which specials occur at all. Most texts hold none, and most places are passed by their first
// byte.
std::vector<bool> special_texts::present(std::string_view text) const {
  std::vector<bool> found(specials_.size(), false);
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    std::uint32_t at = roots_[static_cast<unsigned char>(text[begin])];
    for (std::size_t next = begin + 1; at != 0; ++next) {
      for (const std::uint32_t place : tree_[at].ends) found[place] = true;
      if (next == text.size()) break;
      const auto byte = static_cast<unsigned char>(text[next]);
      const auto& children = tree_[at].children;
      const auto child =
          std::lower_bound(children.begin(), children.end(), std::pair(byte, std::uint32_t{0}));
      at = child != children.end() && child->first == byte ? child->second : 0;
    }
  }
  return found;
}

std::vector<special_texts::fragment> special_texts::split(std::string_view text,
                                                          bool parse_special) const {
  std::vector<fragment> fragments;
  if (text.empty()) return fragments;
  fragments.push_back({text, -1});
  if (specials_.empty()) return fragments;
  const std::vector<bool> found = present(text);
  for (std::size_t place = 0; place < specials_.size(); ++place) {
    const special& each = specials_[place];
    if (!found[place] || (each.on_demand && !parse_special)) continue;
    std::vector<fragment> finer;
    for (const fragment& coarse : fragments) {
      std::string_view rest = coarse.text;
      std::size_t at = coarse.id >= 0 ? std::string_view::npos : rest.find(each.text);
      for (; at != std::string_view::npos; at = rest.find(each.text)) {
        if (at > 0) finer.push_back({rest.substr(0, at), -1});
        finer.push_back({rest.substr(at, each.text.size()), each.id});
        rest.remove_prefix(at + each.text.size());
        while (each.strips_right && !rest.empty() && is_space(rest[0])) rest.remove_prefix(1);
      }
      if (!rest.empty()) finer.push_back({rest, coarse.id});
    }
    fragments = std::move(finer);
  }
  return fragments;
}

}  // namespace troupe::kernels
