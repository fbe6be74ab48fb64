#include "actors/monitoring/objective_book.hpp"

#include <algorithm>

namespace troupe {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains(std::string_view text, std::string_view part) {
  const auto found = std::search(text.begin(), text.end(), part.begin(), part.end(),
                                 [](char a, char b) { return lower(a) == lower(b); });
  return found != text.end() || part.empty();
}

}  // namespace

const objective_wish* objective_book::wish_for(std::string_view model) const {
  for (const objective_wish& wish : wishes_)
    if (contains(model, wish.model)) return &wish;
  return nullptr;
}

void objective_book::job_ended(const std::string& model, std::chrono::microseconds first_token,
                               bool failed, time_point_us now) {
  const objective_wish* wish = wish_for(model);
  if (!wish || (!models_.contains(model) && models_.size() >= models_max)) return;
  const std::int64_t number = now / slice_;
  counts& at = models_[model][static_cast<std::size_t>(number % slices)];
  if (at.number != number) at = {number, 0, 0};
  ++at.jobs;
  at.within += !failed && first_token <= wish->target;
}

std::vector<proto::Objective> objective_book::read(time_point_us now) const {
  std::vector<proto::Objective> out;
  const std::int64_t newest = now / slice_;
  for (const auto& [model, ring] : models_) {
    const objective_wish* wish = wish_for(model);
    if (!wish) continue;
    proto::Objective& one = out.emplace_back();
    one.set_model(model);
    one.set_target_ms(static_cast<std::uint32_t>(wish->target.count()));
    one.set_share(wish->share);
    one.set_window_ms(static_cast<std::uint64_t>(window_.count()));
    for (const counts& at : ring) {
      if (at.number < 0 || newest - at.number >= slices) continue;
      one.set_jobs(one.jobs() + at.jobs);
      one.set_jobs_within(one.jobs_within() + at.within);
    }
    const double missed = static_cast<double>(one.jobs() - one.jobs_within());
    const double allowed = (1 - wish->share) * static_cast<double>(one.jobs());
    one.set_budget_left(missed == 0 ? 1 : allowed > 0 ? 1 - missed / allowed : -missed);
  }
  return out;
}

}  // namespace troupe
