#include "actors/inference/answer_constraints.hpp"

#include <algorithm>

namespace troupe {

answer_constraints::answer_constraints(std::shared_ptr<const kernels::tokenizer> words)
    : words_(std::move(words)) {}

result<answer_constraints::compiled_constraint> answer_constraints::compiled(
    const proto::AnswerConstraint& wish) {
  const std::string& schema = wish.json_schema();
  const auto known = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const kept_constraint& one) { return one.schema == schema; });
  if (known != kept_.end()) {
    std::rotate(kept_.begin(), known, known + 1);
    return kept_.front().compiled;
  }
  kernels::json_constraint_wish form;
  if (wish.has_json_schema()) {
    form.kind = kernels::json_constraint_wish::form::schema;
    form.schema = schema;
  }
  auto made = kernels::json_constraint::compile(form);
  if (!made) return made.failure();
  kept_.push_front({schema, *made});
  if (kept_.size() > kept_max) kept_.pop_back();
  return *made;
}

std::span<const std::uint64_t> answer_constraints::allowed_after(
    const kernels::json_matcher& answer) {
  if (!masks_) {
    auto trie = std::make_shared<const kernels::token_trie>(*words_);
    mask_.resize(trie->mask_words());
    masks_.emplace(std::move(trie));
  }
  if (!masks_->allowed_tokens(answer, mask_)) return {};
  return mask_;
}

}  // namespace troupe
