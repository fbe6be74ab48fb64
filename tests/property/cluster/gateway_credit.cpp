// Grants that are lost, repeated, late or out of order, from the client to its gateway and from
// there to the worker: the stream is the undisturbed one, ends, and never exceeds what was granted.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "../../unit/cluster/played_worker.hpp"
#include "actors/back_off.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

struct wire_plan {
  std::uint32_t lost = 0, repeated = 0, late = 0;  // of each hundred grants
};

class world {
 public:
  world(std::uint32_t tokens, std::uint32_t window, wire_plan plan, std::uint64_t seed)
      : plan_(plan), draws_(seed), window_(window), granted_(window) {
    proto::SubmitJob job = job_with('j', tokens, window);
    job.mutable_job()->mutable_sampling()->set_temperature(3);
    job.mutable_job()->mutable_sampling()->set_seed(seed);
    job.mutable_job()->set_ignore_end(true);
    stage_.submit(job);
  }

  std::vector<std::int32_t> run() {
    for (int turn = 0; turn < 20'000 && !ended_; ++turn) {
      deliver();
      for (const auto& said : worker_.one_step())
        if (said->target().actor() == "gateway") stage_.say("home", "inference", *said);
      read();
      stage_.wait(milliseconds(250));
      let_late_ones_in();
    }
    RC_ASSERT(ended_);
    RC_ASSERT(stage_.core.counters().attempts_restarted == 0u);
    return got_;
  }

 private:
  bool chance(std::uint32_t of_hundred) { return draws_.next() % 100 < of_hundred; }

  // Takes a grant on its way: now, twice, later or never.
  template <class Give>
  void carry(const envelope_ptr& grant, Give&& give) {
    if (chance(plan_.lost)) return;
    if (chance(plan_.late)) return late_.push_back(grant);
    give(grant);
    if (chance(plan_.repeated)) give(grant);
  }
  void give(const envelope_ptr& grant) {
    if (grant->has_grant_job_credit()) return stage_.say("alice", "client", *grant);
    told_ = std::max(told_, grant->grant_sequence_credit().limit());
    (void)worker_.told(grant);
  }
  void let_late_ones_in() {
    while (!late_.empty() && chance(40)) {
      const std::size_t at = draws_.next() % late_.size();
      const envelope_ptr grant = late_[at];
      late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(at));
      give(grant);
    }
  }
  void deliver() {
    for (;;) {
      stage_.prompt_prepared();
      stage_.answer_missing();
      const auto sent = std::exchange(stage_.sent, {});
      if (sent.empty()) return;
      for (const envelope_ptr& message : sent) {
        if (message->has_grant_sequence_credit()) {
          carry(message, [&](const envelope_ptr& one) { give(one); });
        } else if (message->has_start_sequence()) {
          told_ = message->start_sequence().credit_tokens();
          (void)worker_.told(message);
        } else if (message->has_job_tokens()) {
          const proto::JobTokens& frame = message->job_tokens();
          RC_ASSERT(frame.first_index() == got_.size());
          got_.insert(got_.end(), frame.ids().begin(), frame.ids().end());
          RC_ASSERT(got_.size() <= granted_);
          RC_ASSERT(got_.size() <= told_);
          silent_for_ = 0;
        }
        ended_ |= message->has_job_finished();
      }
    }
  }
  // Reads some, grants what it has read, and says it again after a second of silence.
  void read() {
    const auto some = std::min<std::uint64_t>(draws_.next() % 4, got_.size() - read_);
    read_ += some;
    if (some == 0 && ++silent_for_ < 4) return;
    silent_for_ = 0;
    granted_ = std::max<std::uint64_t>(granted_, read_ + window_);
    auto message = std::make_shared<E>();
    message->mutable_grant_job_credit()->set_job_id(std::string(16, 'j'));
    message->mutable_grant_job_credit()->set_limit(granted_);
    carry(message, [&](const envelope_ptr& one) { give(one); });
  }

  gateway_stage stage_{one_node()};
  played_worker worker_;
  wire_plan plan_;
  seeded_draws draws_;
  std::uint32_t window_;
  std::uint64_t granted_, told_ = 0, read_ = 0;
  int silent_for_ = 0;
  bool ended_ = false;
  std::vector<std::int32_t> got_;
  std::vector<envelope_ptr> late_;
};

}  // namespace

TEST_CASE("grants may be lost, repeated, late and out of order") {
  CHECK(rc::check("credit over a bad wire", [] {
    const auto tokens = *rc::gen::inRange<std::uint32_t>(1, 60);
    const auto window = *rc::gen::inRange<std::uint32_t>(1, 12);
    const auto seed = *rc::gen::arbitrary<std::uint64_t>();
    const wire_plan bad{*rc::gen::inRange<std::uint32_t>(0, 70),
                        *rc::gen::inRange<std::uint32_t>(0, 70),
                        *rc::gen::inRange<std::uint32_t>(0, 70)};
    const auto expected = world(tokens, window, {}, seed).run();
    RC_ASSERT(expected.size() == tokens);
    RC_ASSERT(world(tokens, window, bad, seed).run() == expected);
  }));
}
