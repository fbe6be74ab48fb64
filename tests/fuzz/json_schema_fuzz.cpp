// A stranger's schema, and then bytes: refused with a message, or compiled to rules that never lead
// to a dead end, whose masks are what a copy would accept, and whose answers are JSON.
//
// Input: the schema's text, a zero byte, and the bytes that choose among what is allowed.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/constraint/json_constraint.hpp"
#include "kernels/constraint/json_matcher.hpp"
#include "kernels/constraint/token_masks.hpp"
#include "kernels/constraint/token_trie.hpp"

namespace {

using namespace troupe;
using namespace troupe::kernels;

constexpr std::size_t steps_max = 200;

void demand(bool holds) {
  if (!holds) std::abort();
}

const std::vector<std::string>& texts() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> out;
    for (int byte = 0; byte < 256; ++byte) out.emplace_back(1, static_cast<char>(byte));
    for (const char* more : {"{\"", "\":", "\", \"", "\"}", "}}", "]]", "],[", "1]", ", ", "\n  ",
                             "null", "12", "\\u00", "\xF0\x9F\x99\x82", "ab\",", "[["})
      out.emplace_back(more);
    out.emplace_back();
    return out;
  }();
  return all;
}

std::shared_ptr<const token_trie> trie() {
  static const auto made = [] {
    const std::vector<std::string_view> views(texts().begin(), texts().end());
    const token_id end = static_cast<token_id>(texts().size() - 1);
    return std::make_shared<const token_trie>(views, std::span(&end, 1));
  }();
  return made;
}

std::vector<token_id> checked_tokens(const json_matcher& at, std::span<const std::uint64_t> mask) {
  std::vector<token_id> allowed;
  for (std::size_t id = 0; id < texts().size(); ++id) {
    const bool set = (mask[id / 64] >> (id % 64) & 1) != 0;
    json_matcher copy = at;
    const std::string& text = texts()[id];
    demand(set == (text.empty() ? at.can_end() : copy.accept(text)));
    if (set) allowed.push_back(static_cast<token_id>(id));
  }
  return allowed;
}

void walk(const std::shared_ptr<const json_constraint>& rules, std::string_view choices) {
  token_masks masks(trie(), 200000);
  std::vector<std::uint64_t> mask(trie()->mask_words()), plain(mask);
  json_matcher at(rules);
  std::string answer;
  for (std::size_t i = 0; i < choices.size() && i < steps_max; ++i) {
    demand(masks.allowed_tokens(at, mask));
    demand(allowed_tokens(at, *trie(), plain));
    demand(mask == plain);
    const std::vector<token_id> allowed = checked_tokens(at, mask);
    const auto choice = static_cast<unsigned char>(choices[i]);
    const std::string& text = texts()[static_cast<std::size_t>(allowed[choice % allowed.size()])];
    if (text.empty()) {
      demand(nlohmann::json::accept(answer));
      break;
    }
    demand(at.accept(text));
    answer += text;
  }
  json_matcher again(rules);
  for (const char byte : answer) demand(again.accept_byte(byte));
  demand(again == at);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(input.find('\0'), size);
  json_constraint_bounds bounds;
  bounds.states_max = 3000;
  bounds.schema_parts_max = 200;
  bounds.answer_depth_max = 6;
  const auto made = json_constraint::compile(
      {json_constraint_wish::form::schema, std::string(input.substr(0, cut))}, bounds);
  if (made.ok()) {
    walk(*made, input.substr(std::min(cut + 1, size)));
  } else {
    demand(!made.failure().message.empty() && !made.failure().mend.empty());
  }
  return 0;
}
