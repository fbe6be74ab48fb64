// Several choices of one HTTP request, and a worker that dies at each of their tokens: the reply is
// the undisturbed one. The real request core, gateway core and inference cores; two workers beside
// a gateway that does not compute.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "cluster/http/openai_request.hpp"
#include "cluster/http/request_core.hpp"
#include "played_worker.hpp"

using namespace troupe;
using namespace troupe::cluster;
using nlohmann::json;
using E = proto::Envelope;

namespace {

class front {
 public:
  explicit front(const std::string& body)
      : stage_(members({"left", "right"}), settings()), core_(read(body), ids(), origin(), 1000) {
    for (const char* name : {"left", "right"})
      workers_[name] = std::make_unique<played_worker>(name);
  }

  // The reply's text, with a worker that dies once `at` tokens have come of all choices together.
  std::string run(std::optional<std::uint32_t> at = {}) {
    for (const E& message : core_.submissions()) {
      stage_.say(message.sender().node(), "client", message);
      settle();
    }
    for (int guard = 0; guard < 10'000 && !core_.done(); ++guard) {
      if (at && tokens_ >= *at) {
        at.reset();
        die("left");
      }
      for (auto& [name, worker] : workers_)
        for (const auto& said : worker->one_step()) hear(name, *said);
      settle();
    }
    REQUIRE(core_.done());
    REQUIRE(!core_.failure());
    text_ += core_.take_output();
    return text_;
  }
  std::uint32_t tokens() const { return tokens_; }
  std::uint64_t restarted() const { return stage_.core.counters().attempts_restarted; }

 private:
  static http::asked_work read(const std::string& body) {
    auto work = http::read_completion(body, {});
    REQUIRE(std::holds_alternative<http::asked_work>(work));
    return std::get<http::asked_work>(std::move(work));
  }
  static std::vector<std::string> ids() {
    return {std::string(16, 'a'), std::string(16, 'b'), std::string(16, 'c')};
  }
  static http::request_origin origin() { return {"http/1", "home", "me"}; }
  static gateway_settings settings() {
    gateway_settings out = gateway_stage::plain_settings();
    out.attempts_max = out.worker_losses_max = 1000;
    return out;
  }
  static std::vector<member> members(const std::vector<std::string>& up) {
    member home = played_node("home", true);
    home.load.sequences_max = 0;
    std::vector<member> out = {home};
    for (const std::string& name : up) out.push_back(played_node(name));
    return out;
  }

  void die(const std::string& name) {
    workers_.erase(name);
    stage_.show(members({"right"}));
    stage_.take(stage_.core.node_lost(name, stage_.now));
    settle();
  }
  void hear(const std::string& worker, const E& said) {
    if (said.target().actor() == "gateway") stage_.say(worker, "inference", said);
  }
  // Everybody speaks; nobody computes.
  void settle() {
    for (;;) {
      while (stage_.count(E::kPreparePrompt) > 0) stage_.prompt_prepared();
      while (stage_.count(E::kLookUpAnswer) > 0) stage_.answer_missing();
      while (stage_.count(E::kLoadModel) > 0) stage_.model_loaded("fake-1");
      const auto sent = std::exchange(stage_.sent, {});
      if (sent.empty()) break;
      for (const envelope_ptr& message : sent) deliver(message);
    }
    text_ += core_.take_output();
    for (const E& credit : core_.written()) stage_.say("http/1", "client", credit);
  }
  void deliver(const envelope_ptr& message) {
    if (message->target().actor() == "client") {
      if (message->has_job_tokens())
        tokens_ += static_cast<std::uint32_t>(message->job_tokens().ids_size());
      return core_.take(*message);
    }
    const auto worker = workers_.find(message->target().node());
    if (message->target().actor() != "inference" || worker == workers_.end()) return;
    for (const auto& said : worker->second->told(message)) hear(worker->first, *said);
  }

  gateway_stage stage_;
  http::request_core core_;
  std::map<std::string, std::unique_ptr<played_worker>> workers_;
  std::string text_;
  std::uint32_t tokens_ = 0;
};

// What each choice said, whichever came first; usage tells how much was computed, which a failover
// changes.
json choices_of(const std::string& text, bool streams) {
  if (!streams) {
    json whole = json::parse(text);
    CHECK(whole.at("choices").size() == 3);
    whole.erase("usage");
    return whole;
  }
  json out = json::object();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find("\n\n", at);
    const std::string line = text.substr(at, end - at);
    at = end + 2;
    if (!line.starts_with("data: {")) continue;
    const json event = json::parse(line.substr(6));
    for (const json& choice : event.at("choices")) {
      json& mine = out[std::to_string(choice.at("index").get<int>())];
      if (mine.is_null()) mine = {{"text", ""}};
      mine["text"] = mine.at("text").get<std::string>() + choice.value("text", "");
      if (choice.contains("logprobs") && !choice["logprobs"].is_null())
        for (const auto& [name, values] : choice["logprobs"].items())
          for (const json& value : values) mine["logprobs"][name].push_back(value);
      if (!choice.at("finish_reason").is_null()) mine["finish_reason"] = choice["finish_reason"];
    }
  }
  CHECK(out.size() == 3);
  return out;
}

void check_every_death(const std::string& more) {
  for (const bool streams : {false, true}) {
    const std::string body = R"({"model":"tiny","prompt":"hello","max_tokens":14,"n":3,)" + more +
                             (streams ? R"(,"stream":true})" : "}");
    front calm(body);
    const json expected = choices_of(calm.run(), streams);
    std::uint64_t moved = 0;
    for (std::uint32_t at = 0; at <= calm.tokens(); ++at) {
      CAPTURE(at);
      CAPTURE(streams);
      front disturbed(body);
      CHECK(choices_of(disturbed.run(at), streams) == expected);
      moved += disturbed.restarted();
    }
    CHECK(moved > 0);
    if (streams) continue;
    const json& choices = expected.at("choices");  // each has a seed of its own
    CHECK((choices[0]["text"] != choices[1]["text"] || choices[1]["text"] != choices[2]["text"]));
  }
}

}  // namespace

TEST_CASE(
    "choices with log-probabilities, penalties, biases and a stop text live through a death") {
  check_every_death(
      R"("temperature":3,"seed":7,"logprobs":3,"ignore_eos":true,"presence_penalty":0.7,)"
      R"("frequency_penalty":0.4,"repetition_penalty":1.3,"min_p":0.001,"top_p":0.97,)"
      R"("logit_bias":{"5":3,"9":-100},"stop":["zz","th"])");
}

TEST_CASE("constrained choices live through a death") {
  check_every_death(R"("temperature":5,"seed":11,"logprobs":2,)"
                    R"("response_format":{"type":"json_schema","json_schema":{"name":"word",)"
                    R"("schema":{"enum":[true,false,null]}}})");
}
