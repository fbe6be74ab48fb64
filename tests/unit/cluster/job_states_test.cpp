// Every phase of a job x every event, driven through the real core: what happens is what the table
// of job_states.hpp says.
#include <doctest/doctest.h>

#include <algorithm>

#include "gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

constexpr const char* phase_names[] = {"waiting_for_model", "preparing", "looking_up", "loading",
                                       "waiting_for_node",  "running",   "finished"};
constexpr const char* event_names[] = {"submission",
                                       "fuller_submission",
                                       "other_content",
                                       "grant",
                                       "strangers_grant",
                                       "cancellation",
                                       "prompt_prepared",
                                       "answer_missing",
                                       "answer_found",
                                       "model_loaded",
                                       "error_reply",
                                       "late_reply",
                                       "tokens",
                                       "whole_answer",
                                       "attempt_error",
                                       "old_frame",
                                       "view",
                                       "worker_lost",
                                       "client_lost",
                                       "deadline",
                                       "stop"};
static_assert(std::size(phase_names) == job_phases && std::size(event_names) == job_events);

const std::string id(16, 'j');

// As the job's client was told, wherever it was taken.
proto::JobAccepted pinned_elsewhere() {
  gateway_stage stage;
  stage.submit(job_with('j'));
  stage.prompt_prepared();
  const auto told = stage.next(E::kJobAccepted);
  REQUIRE(told);
  return told->job_accepted();
}

// A job on its stage, brought to a phase.
struct scene {
  explicit scene(job_phase to) {
    switch (to) {
      case job_phase::waiting_for_model: {
        member home = node_with("home", proto::ON_DISK, true, "tiny", "");  // is being read
        stage.show({home});
        stage.submit(job_with('j'));
        break;
      }
      case job_phase::preparing:
        stage.submit(job_with('j'));
        asked = stage.next(E::kPreparePrompt);
        break;
      case job_phase::looking_up:
        stage.submit(job_with('j'));
        stage.prompt_prepared();
        asked = stage.next(E::kLookUpAnswer);
        break;
      case job_phase::loading:
        stage.show({node_with("home", proto::ON_DISK, true)});
        stage.submit(job_with('j'));
        stage.prompt_prepared();
        asked = stage.next(E::kLoadModel);
        break;
      case job_phase::waiting_for_node: {
        member idle = node_with("home", proto::READY, true);
        idle.load.sequences_max = 0;
        stage.show({idle});
        stage.submit(job_with('j'));
        stage.prompt_prepared();
        break;
      }
      case job_phase::running:
      case job_phase::finished:
        stage.submit(job_with('j'));
        stage.prompt_prepared();
        stage.answer_missing();
        asked = stage.next(E::kStartSequence);
        REQUIRE(asked);
        start = asked->start_sequence();
        stage.tokens("home", frame_of(start, 0, 2));
        if (to == job_phase::running) break;
        stage.tokens("home", frame_of(start, 2, 6));
        stage.finished("home", end_of(start, 8));
    }
    if (start.job_id().empty()) {  // what a frame out of nowhere would say
      start.set_job_id(id);
      start.mutable_fence()->set_gateway_epoch(stage.settings.epoch);
      start.mutable_fence()->set_attempt(1);
      start.mutable_fence()->set_worker_incarnation(1);
    }
    stage.sent.clear();
  }

  // To the open question; where there is none, to one that never was.
  void reply(E message) {
    message.set_correlation(asked ? asked->correlation() : never_asked());
    stage.say("home", asked ? asked->target().actor() : "model_loader", message);
  }
  std::uint64_t never_asked() const { return (stage.settings.epoch << 32) + 9'999; }

  void happens(job_event event) {
    E message;
    switch (event) {
      case job_event::submission:
        return stage.submit(job_with('j'));
      case job_event::fuller_submission: {
        proto::SubmitJob job = job_with('j');
        // A finished answer has eight tokens: one more was never part of it.
        const std::uint32_t more = stage.core.phase_of(id) == job_phase::finished ? 9 : 4;
        proto::JobTokens& held = *job.add_held();
        std::uint64_t hash = running_hash_start;
        for (std::uint32_t i = 0; i < more; ++i) {
          held.add_ids(token_at(i));
          held.add_log_probabilities(0);
          held.add_text_ends(0);
          hash = running_hash_next(hash, token_at(i));
        }
        held.set_running_hash(hash);
        held.set_numerics_class("cpu-1");
        held.set_job_id(id);
        job.set_from_index(more);
        *job.mutable_pinned() = pinned_elsewhere();
        return stage.submit(job);
      }
      case job_event::other_content:
        return stage.submit(job_with('j', 9));
      case job_event::grant:
        return stage.credit(id, 50);
      case job_event::strangers_grant:
        return stage.credit(id, 50, "mallory");
      case job_event::cancellation:
        return stage.cancel(id);
      case job_event::prompt_prepared: {
        proto::PromptPrepared& prepared = *message.mutable_prompt_prepared();
        prepared.set_model_digest(digest_a);
        for (const int token : {1, 2, 3}) prepared.add_ids(token);
        prepared.set_context_tokens(100);
        prepared.set_vocabulary_size(50);
        return reply(message);
      }
      case job_event::answer_missing:
        message.mutable_answer_missing();
        return reply(message);
      case job_event::answer_found: {
        proto::CachedAnswer& answer = *message.mutable_answer_found()->mutable_answer();
        std::uint64_t hash = running_hash_start;
        for (std::uint32_t i = 0; i < 8; ++i) {
          answer.add_ids(token_at(i));
          answer.add_log_probabilities(0);
          answer.add_text_ends(0);
          hash = running_hash_next(hash, token_at(i));
        }
        answer.set_running_hash(hash);
        answer.set_reason(proto::LENGTH);
        answer.set_numerics_class("cpu-1");
        return reply(message);
      }
      case job_event::model_loaded:
        message.mutable_model_loaded()->mutable_model()->set_numerics_class("cpu-1");
        return reply(message);
      case job_event::error_reply:
        message.mutable_error()->set_code(proto::Error::INTERNAL);
        return reply(message);
      case job_event::late_reply:
        message.mutable_model_loaded();
        message.set_correlation(never_asked());
        return stage.say("home", "model_loader", message);
      case job_event::tokens:
        return stage.tokens("home", frame_of(start, 2, 1));
      case job_event::whole_answer:
        stage.tokens("home", frame_of(start, 2, 6));
        return stage.finished("home", end_of(start, 8));
      case job_event::attempt_error:
        message.mutable_sequence_failed()->set_job_id(id);
        *message.mutable_sequence_failed()->mutable_fence() = start.fence();
        message.mutable_sequence_failed()->mutable_error()->set_code(proto::Error::INTERNAL);
        return stage.say("home", "inference", message);
      case job_event::old_frame: {
        auto frame = frame_of(start, 2, 1);
        frame.mutable_fence()->set_attempt(0);
        return stage.tokens("home", frame);
      }
      case job_event::view:
        return stage.show({node_with("home", proto::READY, true)});
      case job_event::worker_lost:
        return stage.take(stage.core.node_lost("home", stage.now));
      case job_event::client_lost:
        return stage.take(stage.core.node_lost("alice", stage.now));
      case job_event::deadline:
        return stage.wait(stage.settings.job_deadline + milliseconds(1));
      case job_event::stop:
        return stage.take(stage.core.stop_accepting(true, stage.now));
    }
  }

  gateway_stage stage;
  envelope_ptr asked;  // the open question, where the job has one
  proto::StartSequence start;
};

std::uint8_t bits(std::optional<job_phase> phase) {
  return phase ? job_table_words::bit(*phase) : job_table_words::gone;
}

}  // namespace

TEST_CASE("every event in every phase leads where the table says") {
  for (std::size_t e = 0; e < job_events; ++e)
    for (std::size_t p = 0; p < job_phases; ++p) {
      const auto event = static_cast<job_event>(e);
      const auto phase = static_cast<job_phase>(p);
      const std::string event_name = event_names[e], phase_name = phase_names[p];
      CAPTURE(event_name);
      CAPTURE(phase_name);
      scene s(phase);
      REQUIRE(s.stage.core.phase_of(id) == phase);
      const gateway_counters before = s.stage.core.counters();
      s.happens(event);
      const gateway_counters& after = s.stage.core.counters();
      const auto now = s.stage.core.phase_of(id);
      const bool same = now == phase;
      const auto fenced = after.frames_fenced - before.frames_fenced;
      const auto odd = after.unexpected - before.unexpected;
      const bool error_told = s.stage.count(E::kError) > 0;
      const job_cell cell = cell_of(event, phase);
      switch (cell.outcome) {
        case job_outcome::moves:
          CHECK((cell.next & bits(now)) != 0);
          CHECK((!same || !s.stage.sent.empty()));  // the same phase, of another attempt
          CHECK(fenced + odd == 0);
          if (event == job_event::fuller_submission) CHECK(!error_told);
          break;
        case job_outcome::stays:
          CHECK(same);
          CHECK(fenced + odd == 0);
          CHECK(!error_told);
          break;
        case job_outcome::refused:
          CHECK(same);
          CHECK(error_told);
          CHECK(after.refused > before.refused);
          break;
        case job_outcome::fenced:
          CHECK(same);
          CHECK(fenced > 0);
          CHECK(s.stage.sent.empty());
          break;
        case job_outcome::unexpected:
          CHECK(same);
          CHECK(odd > 0);
          CHECK(s.stage.sent.empty());
          break;
        case job_outcome::nothing:
          CHECK(same);
          CHECK(fenced + odd == 0);
          CHECK(s.stage.sent.empty());
          break;
      }
      // Whatever happened: what is counted as running is what is known and has no end.
      CHECK(after.running == (now && *now != job_phase::finished ? 1u : 0u));
    }
}

TEST_CASE("a job that is not known: its messages are refused or dropped, and counted") {
  gateway_stage stage;
  stage.credit(id, 5);
  REQUIRE(stage.count(E::kError) == 1);
  CHECK(stage.next(E::kError)->error().code() == proto::Error::NOT_FOUND);
  stage.cancel(id);
  REQUIRE(stage.count(E::kError) == 1);
  CHECK(stage.next(E::kError)->error().code() == proto::Error::NOT_FOUND);
  proto::StartSequence start;
  start.set_job_id(id);
  stage.tokens("home", frame_of(start, 0, 1));
  stage.finished("home", end_of(start, 1));
  CHECK(stage.core.counters().frames_fenced == 2);
  CHECK(stage.sent.empty());
}
