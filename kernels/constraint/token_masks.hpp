// Which tokens may come next, as a bit for each token: bit id % 64 of word id / 64.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/constraint/json_matcher.hpp"
#include "kernels/constraint/token_trie.hpp"

namespace troupe::kernels {

// Sets the bits of exactly those tokens that a copy of the matcher would accept, and of the end
// tokens where it can end. out.size() == trie.mask_words(). Pure. False: no token is allowed, which
// happens only with a vocabulary that cannot write some byte, or that has no end token.
bool allowed_tokens(const json_matcher& at, const token_trie& trie, std::span<std::uint64_t> out);

// The same masks for all answers of one vocabulary, and what was learnt on the way is kept: most of
// a mask depends only on where the innermost open value stands. Holds at most bytes_max of it (and
// the constraints that it is about), and forgets all when that is full. One thread at a time.
class token_masks {
 public:
  static constexpr std::size_t bytes_max_default = std::size_t{32} << 20;

  explicit token_masks(std::shared_ptr<const token_trie> trie,
                       std::size_t bytes_max = bytes_max_default);

  bool allowed_tokens(const json_matcher& at, std::span<std::uint64_t> out);

  std::size_t bytes_used() const { return bytes_used_; }

 private:
  // What one state allows, whoever called its rule. `ticks` are those a token passes in this call.
  struct timed_token {
    std::uint32_t ticks;
    token_id id;
  };
  struct leaving {
    std::uint32_t node;   // of the trie, where the rule closes or is left
    std::uint32_t ticks;  // until then
    constraint::state_id state;
    bool leaves;  // the rest is up to the callers; else it goes on in `state`
    bool closes;  // only when the least of the bounds is reached
    bool before;  // left without a byte: the node's own tokens are not decided here
  };
  struct state_mask {
    std::vector<std::uint64_t> allowed;
    std::vector<timed_token> timed;  // of these, those that tick; most ticks first
    std::vector<leaving> leavings;
    std::uint32_t height_wanted = 0;  // above the bottom, for which no check fails
    bool complete = true;             // no check failed
    std::size_t bytes() const;
  };

  using known_masks = std::unordered_map<constraint::state_id, state_mask>;

  state_mask build(const constraint::rule_table& rules, constraint::state_id state,
                   std::uint32_t height) const;
  const state_mask& find(const json_matcher& at, constraint::state_id state, std::uint32_t height);
  void add_head(const json_matcher& at, const constraint::head& head, std::span<std::uint64_t> out);

  std::shared_ptr<const token_trie> trie_;
  std::size_t bytes_max_;
  std::size_t bytes_used_ = 0;
  // By constraint; nullptr for the states of any text, which all constraints share.
  std::map<std::shared_ptr<const json_constraint>, known_masks> known_;
  state_mask passing_;  // one that is not kept
  std::vector<std::uint64_t> part_;
};

}  // namespace troupe::kernels
