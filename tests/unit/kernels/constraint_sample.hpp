// Schemas, matchers and small vocabularies for the tests of kernels/constraint.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/constraint/json_constraint.hpp"
#include "kernels/constraint/json_matcher.hpp"
#include "kernels/constraint/token_masks.hpp"
#include "kernels/constraint/token_trie.hpp"

namespace constraint_sample {

using namespace troupe;
using namespace troupe::kernels;

inline auto compiled(std::string schema, const json_constraint_bounds& bounds = {}) {
  return json_constraint::compile({json_constraint_wish::form::schema, std::move(schema)}, bounds);
}

inline std::shared_ptr<const json_constraint> rules_of(std::string schema) {
  auto made = compiled(std::move(schema));
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.failure().text()));
  return *made;
}

// The text is a whole answer.
inline bool takes(const std::shared_ptr<const json_constraint>& rules, std::string_view text) {
  json_matcher at(rules);
  return at.accept(text) && at.can_end();
}
inline bool takes(const std::string& schema, std::string_view text) {
  return takes(rules_of(schema), text);
}

// Why the schema is refused; "" where it is not.
inline std::string refusal(const std::string& schema, const json_constraint_bounds& bounds = {}) {
  const auto made = compiled(schema, bounds);
  if (made.ok()) return "";
  CHECK(made.failure().code == error_code::invalid_argument);
  CHECK_FALSE(made.failure().mend.empty());
  return made.failure().message;
}

inline bool has(std::span<const std::uint64_t> mask, token_id id) {
  return (mask[static_cast<std::size_t>(id) / 64] >> (id % 64) & 1) != 0;
}

// Each token tried on a copy: what a mask has to be.
inline std::vector<std::uint64_t> slow_mask(const json_matcher& at,
                                            const std::vector<std::string>& texts,
                                            std::span<const token_id> ends) {
  std::vector<std::uint64_t> out((texts.size() + 63) / 64, 0);
  const auto set = [&](token_id id) {
    out[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
  };
  for (std::size_t id = 0; id < texts.size(); ++id) {
    json_matcher copy = at;
    if (!texts[id].empty() && copy.accept(texts[id])) set(static_cast<token_id>(id));
  }
  for (const token_id id : ends)
    if (at.can_end()) set(id);
  return out;
}

// Every single byte, and then these; the last token is empty and ends the answer.
inline std::vector<std::string> vocabulary(const std::vector<std::string>& more) {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  texts.insert(texts.end(), more.begin(), more.end());
  texts.emplace_back();
  return texts;
}

inline std::shared_ptr<const token_trie> trie_of(const std::vector<std::string>& texts) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const token_id end = static_cast<token_id>(texts.size() - 1);
  return std::make_shared<const token_trie>(views, std::span(&end, 1));
}

}  // namespace constraint_sample
