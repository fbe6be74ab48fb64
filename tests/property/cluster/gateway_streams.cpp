// Whatever a network and its workers do to the frames, a client's stream is one stream.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "../../unit/cluster/gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

std::vector<std::int32_t> answer_of(std::uint32_t count) {
  std::vector<std::int32_t> out;
  for (std::uint32_t i = 0; i < count; ++i) out.push_back(token_at(i));
  return out;
}

// [from, tokens) cut into frames at random places.
std::vector<proto::SequenceTokens> random_frames(const proto::StartSequence& start,
                                                 std::uint32_t from, std::uint32_t tokens) {
  std::vector<proto::SequenceTokens> out;
  while (from < tokens) {
    const auto count = *rc::gen::inRange<std::uint32_t>(1, std::min(9u, tokens - from) + 1);
    out.push_back(frame_of(start, from, count));
    from += count;
  }
  return out;
}

template <class T>
void shuffle_randomly(std::vector<T>& items) {
  for (std::size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[*rc::gen::inRange<std::size_t>(0, i)]);
}

}  // namespace

TEST_CASE("frames in any order and number give the same stream") {
  CHECK(rc::check("reordering and duplication", [] {
    const auto tokens = *rc::gen::inRange<std::uint32_t>(1, 60);
    gateway_stage stage;
    const auto start = stage.started(job_with('j', tokens, 1000));
    auto frames = random_frames(start, 0, tokens);
    const std::size_t once = frames.size();
    for (std::size_t i = 0; i < once; ++i)
      if (*rc::gen::inRange(0, 3) == 0) frames.push_back(frames[i]);
    shuffle_randomly(frames);
    const auto end_at = *rc::gen::inRange<std::size_t>(0, frames.size() + 1);
    for (std::size_t i = 0; i <= frames.size(); ++i) {
      if (i == end_at) stage.finished("home", end_of(start, tokens));
      if (i < frames.size()) stage.tokens("home", frames[i]);
    }
    RC_ASSERT(stage.delivered() == answer_of(tokens));
    RC_ASSERT(stage.contiguous);
    RC_ASSERT(stage.count(E::kJobFinished) == 1u);
    RC_ASSERT(stage.count(E::kStopSequence) == 0u);
    RC_ASSERT(stage.core.counters().attempts_restarted == 0u);
  }));
}

TEST_CASE("credit is never exceeded, toward the client and toward the worker") {
  CHECK(rc::check("random credits", [] {
    const auto tokens = *rc::gen::inRange<std::uint32_t>(1, 80);
    const auto first_credit = *rc::gen::inRange<std::uint32_t>(1, 20);
    gateway_stage stage;
    const auto start = stage.started(job_with('j', tokens, first_credit));
    std::uint64_t granted = first_credit, worker_granted = start.credit_tokens();
    std::uint32_t produced = 0;
    std::vector<std::int32_t> got;
    const auto settle = [&] {
      while (const auto more = stage.next(E::kGrantSequenceCredit))
        worker_granted = std::max(worker_granted, more->grant_sequence_credit().limit());
      const auto fresh = stage.delivered(static_cast<std::uint32_t>(got.size()));
      got.insert(got.end(), fresh.begin(), fresh.end());
      RC_ASSERT(got.size() <= granted);
      RC_ASSERT(worker_granted <= granted);
      RC_ASSERT(worker_granted <= tokens);
    };
    bool ended = false;
    for (int turn = 0; turn < 400 && stage.count(E::kJobFinished) == 0; ++turn) {
      if (*rc::gen::inRange(0, 2) == 0) {
        const auto more = *rc::gen::inRange<std::uint32_t>(0, 6);
        granted += more;
        stage.credit(start.job_id(), granted);
      } else if (produced < worker_granted) {
        const auto count = *rc::gen::inRange<std::uint32_t>(
            1, static_cast<std::uint32_t>(worker_granted - produced) + 1);
        stage.tokens("home", frame_of(start, produced, count));
        produced += count;
      }
      if (produced == tokens && !ended) {
        stage.finished("home", end_of(start, tokens));
        ended = true;
      }
      settle();
    }
    granted += 1000;
    stage.credit(start.job_id(), granted);
    settle();
    while (produced < tokens) {
      stage.tokens("home", frame_of(start, produced, 1));
      ++produced;
    }
    if (!ended) stage.finished("home", end_of(start, tokens));
    settle();
    RC_ASSERT(got == answer_of(tokens));
    RC_ASSERT(stage.contiguous);
  }));
}

TEST_CASE("workers lost at any moment: the stream is the undisturbed one") {
  CHECK(rc::check("random failures", [] {
    const auto tokens = *rc::gen::inRange<std::uint32_t>(1, 40);
    gateway_settings settings = gateway_stage::plain_settings();
    settings.attempts_max = 100;
    settings.worker_losses_max = 100;
    gateway_stage stage({node_with("away", proto::READY), node_with("home", proto::READY, true)},
                        settings);
    proto::StartSequence start = stage.started(job_with('j', tokens, 1000));
    std::string worker = "home";
    std::vector<proto::SequenceTokens> old;
    for (int turn = 0; turn < 60 && stage.count(E::kJobFinished) == 0; ++turn) {
      const auto held = static_cast<std::uint32_t>(start.forced_ids_size());
      auto frames = random_frames(start, held, tokens);
      const bool dies = turn < 20 && *rc::gen::inRange(0, 3) != 0;
      if (dies) frames.resize(*rc::gen::inRange<std::size_t>(0, frames.size() + 1));
      shuffle_randomly(frames);
      for (const auto& frame : frames) {
        if (!old.empty() && *rc::gen::inRange(0, 2) == 0) {
          const auto late = *rc::gen::elementOf(old);
          stage.tokens(*rc::gen::element<std::string>("home", "away"), late);
        }
        stage.tokens(worker, frame);
      }
      old.insert(old.end(), frames.begin(), frames.end());
      if (!dies) {
        stage.finished(worker, end_of(start, tokens));
        break;
      }
      switch (*rc::gen::inRange(0, 3)) {
        case 0:
          stage.take(stage.core.node_lost(worker, stage.now));
          break;
        case 1:
          stage.take(stage.core.actor_restarted(worker, "inference", stage.now));
          break;
        default: {
          proto::Envelope failed;
          failed.mutable_sequence_failed()->set_job_id(start.job_id());
          *failed.mutable_sequence_failed()->mutable_fence() = start.fence();
          failed.mutable_sequence_failed()->mutable_error()->set_code(proto::Error::UNAVAILABLE);
          stage.say(worker, "inference", failed);
        }
      }
      stage.model_loaded();
      // Who refused, or fails again and again, is asked again after a pause.
      for (int i = 0; i < 200 && stage.count(E::kStartSequence) == 0; ++i) {
        stage.wait(milliseconds(50));
        stage.model_loaded();
      }
      const auto next = stage.next(E::kStartSequence);
      RC_ASSERT(static_cast<bool>(next));
      RC_ASSERT(next->start_sequence().fence().attempt() > start.fence().attempt());
      start = next->start_sequence();
      worker = next->target().node();
    }
    RC_ASSERT(stage.delivered() == answer_of(tokens));
    RC_ASSERT(stage.contiguous);
    RC_ASSERT(stage.count(E::kJobFinished) == 1u);
  }));
}

TEST_CASE("cancelling, or losing the client, at any moment frees everything") {
  CHECK(rc::check("random ends", [] {
    gateway_stage stage({node_with("home", *rc::gen::element(proto::READY, proto::ON_DISK), true)});
    const auto moment = *rc::gen::inRange(0, 6);
    const auto tokens = *rc::gen::inRange<std::uint32_t>(1, 20);
    const std::string id(16, 'j');
    stage.submit(job_with('j', tokens, *rc::gen::inRange<std::uint32_t>(1, 30)));
    proto::StartSequence start;
    for (int step = 0; step < moment; ++step) {
      stage.prompt_prepared();
      if (step >= 1) stage.model_loaded();
      if (step >= 2) stage.answer_missing();
      if (step < 3) continue;
      if (const auto begun = stage.next(E::kStartSequence)) start = begun->start_sequence();
      if (start.job_id().empty()) continue;
      if (step == 4) stage.tokens("home", frame_of(start, 0, tokens));
    }
    const bool began = !start.job_id().empty() || stage.count(E::kStartSequence) > 0;
    const bool by_loss = *rc::gen::inRange(0, 2) == 0;
    if (by_loss)
      stage.take(stage.core.node_lost("alice", stage.now));
    else
      stage.cancel(id);
    RC_ASSERT(stage.core.counters().running == 0u);
    RC_ASSERT(stage.core.waiting_requests() == 0u);
    RC_ASSERT(stage.count(E::kStopSequence) == (began ? 1u : 0u));
    stage.sent.clear();
    if (!start.job_id().empty()) stage.finished("home", end_of(start, tokens));
    stage.wait(milliseconds(700'000));
    RC_ASSERT(stage.sent.empty());
    RC_ASSERT(stage.core.known_jobs() == 0u);
  }));
}
