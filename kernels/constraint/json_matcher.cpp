#include "kernels/constraint/json_matcher.hpp"

#include <algorithm>
#include <utility>

namespace troupe::kernels {

json_matcher::json_matcher(std::shared_ptr<const json_constraint> rules)
    : rules_(std::move(rules)), heads_{{rules_->rules().begin(), 0, 0, 0}} {}

bool json_matcher::accept(std::string_view bytes) {
  constraint::stepper stepper(rules_->rules());
  const constraint::stack_graph::mark before = graph_.top();
  std::vector<constraint::head> now = heads_, next;
  for (const char byte : bytes) {
    stepper.step(graph_, now, static_cast<unsigned char>(byte), next);
    if (next.empty()) {
      graph_.cut(before);
      return false;
    }
    std::swap(now, next);
  }
  graph_ = graph_.reached_from(now);
  heads_ = std::move(now);
  return true;
}

bool json_matcher::can_end() const {
  return std::any_of(heads_.begin(), heads_.end(), [this](const constraint::head& h) {
    return h.frame == 0 && rules_->rules().at(h.state).accepts;
  });
}

bool json_matcher::must_end() const {
  return can_end() && std::all_of(heads_.begin(), heads_.end(), [this](const auto& h) {
           return rules_->rules().at(h.state).ends;
         });
}

}  // namespace troupe::kernels
