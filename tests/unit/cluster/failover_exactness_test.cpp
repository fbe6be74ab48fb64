// Each thing that shapes an answer, and each token of it as the place where an attempt, a gateway
// or its disk is lost: the whole answer is the undisturbed one, bit for bit. The real gateway core
// and the real inference core over an engine that reads its KV blocks back (fakes.hpp).
#include <doctest/doctest.h>

#include <functional>

#include "gateway_stage.hpp"
#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

std::vector<member> one_node() {
  std::vector<member> out = {node_with("home", proto::READY, true)};
  out[0].models[0].set_numerics_class("fake-1");
  return out;
}

gateway_settings patient() {
  gateway_settings out = gateway_stage::journal_settings();
  out.attempts_max = out.worker_losses_max = 1000;
  return out;
}

class worker {
 public:
  worker() : core_(settings()), engine_(64, 100) {
    core_.step(fakes::load_engine_message(digest_a), now_);
    const engine_facts facts{
        engine_.description(), std::make_shared<fakes::letters>(), {1, 2, 3}, 5};
    core_.engine_made(digest_a, facts, now_);
  }
  // What it says to one message, and to all the work that follows.
  std::vector<envelope_ptr> hear(const envelope_ptr& message) {
    auto said = core_.step(message, now_);
    auto posts = std::move(said.posts);
    if (said.compile)
      for (auto& post :
           core_.constraint_made(*said.compile, make_constraint(*said.compile), now_).posts)
        posts.push_back(post);
    for (int guard = 0; guard < 10'000; ++guard) {
      now_ += time_point_us(1000);
      const auto batch = core_.plan(now_);
      if (!batch) break;
      const auto logits = engine_.step(batch->steps);
      REQUIRE(logits);
      for (auto& post : core_.absorb(*batch, logits, now_).posts) posts.push_back(post);
    }
    return posts;
  }

 private:
  static inference_settings settings() {
    inference_settings out;
    out.node = "home";
    out.incarnation = 1;
    return out;
  }
  inference_core core_;
  fakes::prf_engine engine_;
  time_point_us now_{1'000'000};
};

struct whole_answer {
  std::vector<std::int32_t> ids;
  std::string text;
  std::vector<float> log_probabilities;
  std::string alternatives;
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
        worker_ = std::make_unique<worker>();
        stage_->take(stage_->core.actor_restarted("home", "inference", stage_->now));
        break;
      case trouble::gateway_dies:
        stage_->restart(one_node());
        resume();
        break;
      case trouble::power_fails:
        stage_->disk.power_cut();
        stage_->restart(one_node());
        worker_ = std::make_unique<worker>();
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
  }

  proto::SubmitJob wish_;
  std::uint64_t epoch_ = 0;
  std::unique_ptr<gateway_stage> stage_;
  std::unique_ptr<worker> worker_ = std::make_unique<worker>();
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
      CHECK(got.ending == expected.ending);
    }
}
