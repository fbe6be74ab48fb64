// A worker for a gateway on its stage: the real inference core over an engine that reads its KV
// blocks back (fakes.hpp), with the stage's model ready.
#pragma once

#include <string>
#include <vector>

#include "gateway_stage.hpp"
#include "tests/unit/actors/fakes.hpp"

namespace troupe::cluster {

inline member played_node(const std::string& name, bool self = false) {
  member out = node_with(name, proto::READY, self);
  out.models[0].set_numerics_class("fake-1");
  return out;
}

inline std::vector<member> one_node() {
  return {played_node("home", true)};
}

class played_worker {
 public:
  explicit played_worker(const std::string& node = "home")
      : core_(settings(node)), engine_(64, 100) {
    core_.step(fakes::load_engine_message(digest_a), now_);
    const engine_facts facts{
        engine_.description(), std::make_shared<fakes::letters>(), {1, 2, 3}, 5};
    core_.engine_made(digest_a, facts, now_);
  }

  // What it says to one message.
  std::vector<envelope_ptr> told(const envelope_ptr& message) {
    auto said = core_.step(message, now_);
    auto posts = std::move(said.posts);
    if (said.compile)
      for (auto& post :
           core_.constraint_made(*said.compile, make_constraint(*said.compile), now_).posts)
        posts.push_back(std::move(post));
    return posts;
  }
  // What it says after one step of its engine; nothing without work.
  std::vector<envelope_ptr> one_step() {
    now_ += time_point_us(1000);
    const auto batch = core_.plan(now_);
    if (!batch) return {};
    const auto logits = engine_.step(batch->steps);
    REQUIRE(logits);
    return core_.absorb(*batch, logits, now_).posts;
  }
  bool has_work() const { return core_.has_work(); }
  // What it says to one message, and to all the work that follows.
  std::vector<envelope_ptr> hear(const envelope_ptr& message) {
    auto posts = told(message);
    for (int guard = 0; guard < 10'000 && has_work(); ++guard)
      for (auto& post : one_step()) posts.push_back(std::move(post));
    return posts;
  }

 private:
  static inference_settings settings(const std::string& node) {
    inference_settings out;
    out.node = node;
    out.incarnation = 1;
    return out;
  }
  inference_core core_;
  fakes::prf_engine engine_;
  time_point_us now_{1'000'000};
};

}  // namespace troupe::cluster
