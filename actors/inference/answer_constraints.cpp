#include "actors/inference/answer_constraints.hpp"

#include <algorithm>
#include <exception>

namespace troupe {
namespace {

// Plain texts look alike in every schema, and their mask costs most: it is learnt here already.
void learn_text(kernels::token_masks& masks, std::size_t mask_words) {
  kernels::json_constraint_wish any_text;
  any_text.kind = kernels::json_constraint_wish::form::schema;
  any_text.schema = R"({"type": "string"})";
  const auto rules = kernels::json_constraint::compile(any_text);
  if (!rules) return;
  kernels::json_matcher inside(*rules);
  inside.accept_byte('"');
  std::vector<std::uint64_t> mask(mask_words);
  masks.allowed_tokens(inside, mask);
}

result<made_constraint> make(const constraint_wish& wish) {
  kernels::json_constraint_wish form;
  if (wish.asked.has_json_schema()) {
    form.kind = kernels::json_constraint_wish::form::schema;
    form.schema = wish.asked.json_schema();
  }
  auto rules = kernels::json_constraint::compile(form);
  if (!rules) return rules.failure();
  made_constraint out{*std::move(rules), nullptr};
  if (!wish.words) return out;
  auto trie = std::make_shared<const kernels::token_trie>(*wish.words);
  const std::size_t mask_words = trie->mask_words();
  out.masks = std::make_shared<kernels::token_masks>(std::move(trie));
  learn_text(*out.masks, mask_words);
  return out;
}

}  // namespace

result<made_constraint> make_constraint(const constraint_wish& wish) {
  try {
    return make(wish);
  } catch (const std::exception& failed) {
    return error{error_code::resource_exhausted,
                 std::string("the constraint could not be made: ") + failed.what(),
                 "use a smaller schema"};
  }
}

bool same_constraint(const proto::AnswerConstraint& a, const proto::AnswerConstraint& b) {
  return a.has_json_schema() == b.has_json_schema() && a.json_schema() == b.json_schema();
}

answer_constraints::answer_constraints(std::shared_ptr<const kernels::tokenizer> words)
    : words_(std::move(words)), mask_((words_->vocabulary_size() + 63) / 64) {}

compiled_constraint answer_constraints::known(const proto::AnswerConstraint& asked) {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const kept_constraint& one) {
    return same_constraint(one.asked, asked);
  });
  if (found == kept_.end()) return nullptr;
  std::rotate(kept_.begin(), found, found + 1);
  return kept_.front().rules;
}

constraint_wish answer_constraints::wish_for(const std::string& digest,
                                             const proto::AnswerConstraint& asked) const {
  return {digest, asked, masks_ ? nullptr : words_};
}

bool answer_constraints::keep(const proto::AnswerConstraint& asked, const made_constraint& made) {
  if (!masks_) masks_ = made.masks;
  if (!known(asked)) kept_.push_front({asked, made.rules});
  if (kept_.size() > kept_max) kept_.pop_back();
  return masks_ != nullptr;
}

std::span<const std::uint64_t> answer_constraints::allowed_after(
    const kernels::json_matcher& answer) {
  if (!masks_->allowed_tokens(answer, mask_)) return {};
  return mask_;
}

}  // namespace troupe
