// Each thing that shapes an answer, and each token of it as the place where an attempt, a gateway
// or its disk is lost: the whole answer is the undisturbed one, bit for bit. The real gateway core
// and the real inference core over an engine that reads its KV blocks back (fakes.hpp).
#include <doctest/doctest.h>

#include <functional>

#include "played_worker.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

gateway_settings patient() {
  gateway_settings out = gateway_stage::journal_settings();
  out.attempts_max = out.worker_losses_max = 1000;
  return out;
}

struct whole_answer {
  std::vector<std::int32_t> ids;
  std::string text;
  std::vector<float> log_probabilities;
  std::string alternatives, token_bytes;
  std::string ending;
  bool operator==(const whole_answer&) const = default;
};

enum class trouble { none, worker_dies, gateway_dies, power_fails, gateway_is_left };

class world {
 public:
  explicit world(const proto::SubmitJob& job) : wish_(job) { meet(); }

  whole_answer run(std::uint32_t at, trouble what) {
    submit(at);
    switch (what) {
      case trouble::none:
        break;
      case trouble::worker_dies:
        worker_ = std::make_unique<played_worker>();
        stage_->take(stage_->core.actor_restarted("home", "inference", stage_->now));
        break;
      case trouble::gateway_dies:
        stage_->restart(one_node());
        resume();
        break;
      case trouble::power_fails:
        stage_->disk.power_cut();
        stage_->restart(one_node());
        worker_ = std::make_unique<played_worker>();
        resume();
        break;
      case trouble::gateway_is_left:
        meet();
        resume();
    }
    settle();
    stage_->credit(wish_.job_id(), 1000);
    settle();
    REQUIRE(end_);
    answer_.text += end_->text_tail();
    answer_.ending = proto::FinishReason_Name(end_->reason()) + " " +
                     std::to_string(end_->answer_tokens()) + " " +
                     std::to_string(end_->running_hash()) +
                     (end_->provenance().class_changed() ? " changed" : "");
    return answer_;
  }

 private:
  void meet() {
    stage_ = std::make_unique<gateway_stage>(one_node(), patient());
    stage_->settings.epoch = ++epoch_ * 10;
    stage_->settings.seed_salt = epoch_;
    stage_->core = gateway_core(stage_->settings);
    stage_->begin(one_node());
  }
  void submit(std::uint32_t credit) {
    proto::SubmitJob job = wish_;
    job.set_credit_tokens(std::max(credit, 1u));
    stage_->submit(job);
    settle(credit > 0);
  }
  void resume() {
    proto::SubmitJob job = wish_;
    job.set_credit_tokens(1000);
    if (pinned_) *job.mutable_pinned() = *pinned_;
    for (const auto& frame : held_) *job.add_held() = frame;
    job.set_from_index(static_cast<std::uint32_t>(answer_.ids.size()));
    stage_->submit(job, "alice again");
  }
  // Everyone speaks until nobody has more to say; without `computing` the worker is deaf.
  void settle(bool computing = true) {
    for (int guard = 0; guard < 1000; ++guard) {
      stage_->prompt_prepared();
      stage_->answer_missing();
      if (const auto load = stage_->next(E::kLoadModel)) {
        proto::Envelope loaded;
        loaded.mutable_model_loaded()->mutable_model()->set_numerics_class("fake-1");
        stage_->answer(load, loaded);
      }
      const auto sent = std::exchange(stage_->sent, {});
      if (sent.empty()) return;
      for (const envelope_ptr& message : sent) {
        if (message->target().actor() == "inference" && computing) {
          for (const auto& reply : worker_->hear(message))
            if (reply->target().actor() == "gateway") stage_->say("home", "inference", *reply);
        } else if (message->target().actor() == "client") {
          read(*message);
        }
      }
    }
  }
  void read(const proto::Envelope& message) {
    if (message.has_job_accepted()) pinned_ = message.job_accepted();
    if (message.has_job_finished()) end_ = message.job_finished();
    if (!message.has_job_tokens()) return;
    const proto::JobTokens& frame = message.job_tokens();
    REQUIRE(frame.first_index() == answer_.ids.size());
    held_.push_back(frame);
    answer_.ids.insert(answer_.ids.end(), frame.ids().begin(), frame.ids().end());
    answer_.text += frame.text();
    answer_.log_probabilities.insert(answer_.log_probabilities.end(),
                                     frame.log_probabilities().begin(),
                                     frame.log_probabilities().end());
    for (const auto& one : frame.alternatives()) answer_.alternatives += one.SerializeAsString();
    for (const auto& one : frame.token_bytes()) answer_.token_bytes += one + "|";
  }

  proto::SubmitJob wish_;
  std::uint64_t epoch_ = 0;
  std::unique_ptr<gateway_stage> stage_;
  std::unique_ptr<played_worker> worker_ = std::make_unique<played_worker>();
  whole_answer answer_;
  std::vector<proto::JobTokens> held_;
  std::optional<proto::JobAccepted> pinned_;
  std::optional<proto::JobFinished> end_;
};

whole_answer undisturbed(const proto::SubmitJob& job) {
  return world(job).run(1000, trouble::none);
}

// 24 tokens at a high temperature, with pieces of characters among them.
proto::SubmitJob lively() {
  proto::SubmitJob job = job_with('j', 24);
  job.mutable_job()->mutable_sampling()->set_temperature(3);
  job.mutable_job()->mutable_sampling()->set_seed(11);
  job.mutable_job()->set_ignore_end(true);
  return job;
}

}  // namespace

TEST_CASE("an answer that is moved at any of its tokens is the undisturbed one") {
  proto::SubmitJob job = lively();
  proto::SamplingParameters& sampling = *job.mutable_job()->mutable_sampling();
  std::size_t shortest = 24;
  SUBCASE("greedy") {
    sampling.set_temperature(0);
  }
  SUBCASE("drawn") {}
  SUBCASE("with filters") {
    sampling.set_top_k(9);
    sampling.set_top_p(0.8f);
    sampling.set_min_p(0.01f);
  }
  SUBCASE("until its own end") {
    job.mutable_job()->set_ignore_end(false);
    sampling.set_seed(3);
    shortest = 2;
  }
  SUBCASE("with penalties") {
    sampling.set_repetition_penalty(1.7f);
    sampling.set_presence_penalty(0.9f);
    sampling.set_frequency_penalty(1.3f);
  }
  SUBCASE("with biases") {
    for (const int id : {3, 7, 30}) {
      auto& bias = *sampling.add_logit_bias();
      bias.set_id(id);
      bias.set_bias(id == 7 ? -100.0f : 6.5f);
    }
  }
  SUBCASE("with a stop text that pieces of the answer resemble") {
    const std::string text = undisturbed(job).text;
    REQUIRE(text.size() > 20);
    job.mutable_job()->add_stop(text.substr(14, 4));
    job.mutable_job()->add_stop(text.substr(3, 3) + "never");
    shortest = 5;
  }
  SUBCASE("with alternatives and log-probabilities") {
    job.mutable_job()->set_alternatives(4);
  }
  SUBCASE("under a JSON schema") {
    job.mutable_job()->set_ignore_end(false);
    sampling.mutable_constraint()->set_json_schema(R"({"enum": [true, false, null]})");
    shortest = 4;
  }
  SUBCASE("under a JSON schema, with all that may go with it") {
    job.mutable_job()->set_ignore_end(false);
    job.mutable_job()->set_alternatives(3);
    job.mutable_job()->set_token_bytes(true);
    sampling.mutable_constraint()->set_json_schema(R"({"enum": [true, false, null]})");
    sampling.set_min_p(0.001f);
    sampling.set_presence_penalty(0.5f);
    auto& bias = *sampling.add_logit_bias();
    bias.set_id(27);
    bias.set_bias(9);
    shortest = 4;
  }
  SUBCASE("with everything at once") {
    job.mutable_job()->set_alternatives(2);
    job.mutable_job()->set_token_bytes(true);
    job.mutable_job()->add_stop("never this");
    sampling.set_top_k(20);
    sampling.set_top_p(0.95f);
    sampling.set_min_p(0.001f);
    sampling.set_repetition_penalty(1.2f);
    sampling.set_frequency_penalty(0.4f);
    auto& bias = *sampling.add_logit_bias();
    bias.set_id(30);
    bias.set_bias(4);
  }
  const whole_answer expected = undisturbed(job);
  CHECK(expected.ids.size() >= shortest);
  CHECK(!expected.text.empty());
  for (const trouble what : {trouble::worker_dies, trouble::gateway_dies, trouble::power_fails,
                             trouble::gateway_is_left})
    for (std::uint32_t at = 0; at <= expected.ids.size(); ++at) {
      CAPTURE(static_cast<int>(what));
      CAPTURE(at);
      const whole_answer got = world(job).run(at, what);
      CHECK(got.ids == expected.ids);
      CHECK(got.text == expected.text);
      CHECK(got.log_probabilities == expected.log_probabilities);
      CHECK(got.alternatives == expected.alternatives);
      CHECK(got.token_bytes == expected.token_bytes);
      CHECK(got.ending == expected.ending);
    }
}
