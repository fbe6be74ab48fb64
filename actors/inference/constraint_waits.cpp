// Who waits for a constraint to be made, and goes on once it is.
#include <algorithm>

#include "actors/inference/inference_core.hpp"

namespace troupe {

void inference_core::begin(sequence& s, time_point_us now, effects& out) {
  const result<sequence::outcome> replayed = s.replay_forced();
  if (!replayed) return fail(s, replayed.failure(), out);
  s.extend_names();
  if (replayed->finished) finish(s, *replayed, now, out);
}

// One at a time, the oldest wish first; what nobody waits for any longer is not made.
void inference_core::compile_next(effects& out) {
  if (compiling_) return;
  const sequence* first = nullptr;
  for (const auto& [key, s] : by_key_)
    if (s->awaits && (first == nullptr || s->arrival < first->arrival)) first = s;
  if (first == nullptr) return;
  compiling_ = true;
  out.compile = slots_.at(first->digest).constraints->wish_for(first->digest, *first->awaits);
}

inference_core::effects inference_core::constraint_made(const constraint_wish& wish,
                                                        const result<made_constraint>& made,
                                                        time_point_us now) {
  effects out;
  clock_ = std::max(clock_, now);
  compiling_ = false;
  std::vector<sequence*> served;
  for (const auto& [key, s] : by_key_)
    if (s->awaits && s->digest == wish.digest && same_constraint(*s->awaits, wish.asked))
      served.push_back(s);
  std::sort(served.begin(), served.end(),
            [](const sequence* a, const sequence* b) { return a->arrival < b->arrival; });
  const auto found = slots_.find(wish.digest);
  const bool here = found != slots_.end() && found->second.constraints;
  if (here && made && !found->second.constraints->keep(wish.asked, *made)) served.clear();
  for (sequence* s : served) {
    if (!made) {
      fail(*s, made.failure(), out);
      continue;
    }
    s->constrain(kernels::json_matcher(made->rules));
    begin(*s, now, out);
  }
  compile_next(out);
  return out;
}

}  // namespace troupe
