// A gateway core on a stage: the test speaks for the client, the loaders, the caches and the
// workers, and time is a number.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/running_hash.hpp"
#include "cluster/gateway/gateway_core.hpp"
#include "simulated_disk.hpp"

namespace troupe::cluster {

inline const std::string digest_a(64, 'a');

inline member node_with(const std::string& name, proto::ModelState state, bool self = false,
                        const std::string& model = "tiny", const std::string& digest = digest_a) {
  member m;
  m.name = name;
  m.incarnation = 1;
  m.self = self;
  m.up = true;
  m.load.sequences_max = 4;
  proto::ModelDescription description;
  description.set_name(model);
  description.set_digest(digest);
  description.set_state(state);
  if (state == proto::READY) description.set_numerics_class("cpu-1");
  m.models.push_back(std::move(description));
  return m;
}

inline proto::SubmitJob job_with(char id, std::uint32_t tokens_max = 8, std::uint32_t credit = 0) {
  proto::SubmitJob job;
  job.set_job_id(std::string(16, id));
  job.set_credit_tokens(credit);
  job.mutable_job()->set_model("tiny");
  job.mutable_job()->set_text("hello");
  job.mutable_job()->set_tokens_max(tokens_max);
  job.mutable_job()->mutable_sampling()->set_top_p(1);
  job.mutable_job()->mutable_sampling()->set_repetition_penalty(1);
  return job;
}

// Token i of every answer here, and the frame [first, first + count) of it.
inline std::int32_t token_at(std::uint32_t i) {
  return static_cast<std::int32_t>(i * 7 % 50);
}

inline proto::SequenceTokens frame_of(const proto::StartSequence& start, std::uint32_t first,
                                      std::uint32_t count) {
  proto::SequenceTokens frame;
  frame.set_job_id(start.job_id());
  *frame.mutable_fence() = start.fence();
  frame.set_first_index(first);
  std::uint64_t hash = running_hash_start;
  for (std::uint32_t i = 0; i < first + count; ++i) {
    hash = running_hash_next(hash, token_at(i));
    if (i >= first) frame.add_ids(token_at(i));
  }
  frame.set_text("<" + std::to_string(first) + "+" + std::to_string(count) + ">");
  frame.set_running_hash(hash);
  return frame;
}

inline proto::SequenceFinished end_of(const proto::StartSequence& start, std::uint32_t tokens) {
  proto::SequenceFinished end;
  end.set_job_id(start.job_id());
  *end.mutable_fence() = start.fence();
  end.set_reason(proto::LENGTH);
  end.set_answer_tokens(tokens);
  std::uint64_t hash = running_hash_start;
  for (std::uint32_t i = 0; i < tokens; ++i) hash = running_hash_next(hash, token_at(i));
  end.set_running_hash(hash);
  end.set_engine("cpu");
  end.set_numerics_class("cpu-1");
  return end;
}

class gateway_stage {
 public:
  explicit gateway_stage(std::vector<member> members = {node_with("home", proto::READY, true)},
                         gateway_settings wish = plain_settings())
      : settings(std::move(wish)), core(settings) {
    begin(std::move(members));
  }

  static gateway_settings plain_settings() {
    gateway_settings out;
    out.node = "home";
    out.epoch = 3;
    out.default_credit = 16;
    return out;
  }

  static gateway_settings journal_settings() {
    gateway_settings out = plain_settings();
    out.journal = true;
    out.detach_grace = milliseconds(30'000);
    return out;
  }

  void begin(std::vector<member> members) {
    if (settings.journal) take(core.recover(std::vector(disk.content()), now));
    show(std::move(members));
  }
  // The gateway's process died; another begins on the same disk. What was on its way is lost.
  void restart(std::vector<member> members = {node_with("home", proto::READY, true)}) {
    disk.kill();
    sent.clear();
    ++settings.epoch;
    core = gateway_core(settings);
    begin(std::move(members));
  }
  void sync() { take(core.durable(disk.sync(), now)); }

  void show(std::vector<member> members) {
    auto view = std::make_shared<cluster_view>();
    view->self = "home";
    view->members = std::move(members);
    take(core.view_changed(std::move(view), now));
  }

  void take(gateway_effects effects) {
    for (auto& message : effects.messages) sent.push_back(std::move(message));
    for (auto& message : effects.told) told.push_back(std::move(message));
    logged.insert(logged.end(), effects.log.begin(), effects.log.end());
    disk.write(effects.journal);
    if (effects.journal.urgent && syncs) sync();
  }

  void say(const std::string& node, const std::string& actor, proto::Envelope message) {
    message.mutable_sender()->set_node(node);
    message.mutable_sender()->set_actor(actor);
    message.mutable_target()->set_node("home");
    message.mutable_target()->set_actor("gateway");
    take(core.receive(message, now));
  }
  void submit(const proto::SubmitJob& job, const std::string& client = "alice",
              std::uint32_t deadline_ms = 0) {
    proto::Envelope message;
    *message.mutable_submit_job() = job;
    message.set_correlation(500);
    message.set_deadline_ms(deadline_ms);
    say(client, "client", message);
  }
  // Tokens below `limit`, counted from the answer's start, may be sent.
  void credit(const std::string& id, std::uint64_t limit, const std::string& client = "alice") {
    proto::Envelope message;
    message.mutable_grant_job_credit()->set_job_id(id);
    message.mutable_grant_job_credit()->set_limit(limit);
    say(client, "client", message);
  }
  void cancel(const std::string& id) {
    proto::Envelope message;
    message.mutable_cancel_job()->set_job_id(id);
    say("alice", "client", message);
  }
  void tokens(const std::string& node, const proto::SequenceTokens& frame) {
    proto::Envelope message;
    *message.mutable_sequence_tokens() = frame;
    say(node, "inference", message);
  }
  void finished(const std::string& node, const proto::SequenceFinished& end) {
    proto::Envelope message;
    *message.mutable_sequence_finished() = end;
    say(node, "inference", message);
  }
  void wait(milliseconds time) {
    now += time;
    take(core.tick(now));
  }

  // The oldest message of that kind that was not looked at yet, taken away; fails the test where
  // there is none.
  envelope_ptr next(proto::Envelope::PayloadCase kind) {
    for (auto at = sent.begin(); at != sent.end(); ++at)
      if ((*at)->payload_case() == kind) {
        envelope_ptr out = *at;
        sent.erase(at);
        return out;
      }
    return nullptr;
  }
  std::size_t count(proto::Envelope::PayloadCase kind) const {
    std::size_t out = 0;
    for (const auto& message : sent) out += message->payload_case() == kind;
    return out;
  }
  void answer(const envelope_ptr& request, proto::Envelope reply) {
    reply.set_correlation(request->correlation());
    say(request->target().node(), request->target().actor(), std::move(reply));
  }

  // Plays the loader: three prompt tokens, a context of 100.
  void prompt_prepared() {
    const envelope_ptr request = next(proto::Envelope::kPreparePrompt);
    if (!request) return;
    proto::Envelope reply;
    proto::PromptPrepared& prepared = *reply.mutable_prompt_prepared();
    prepared.set_model_digest(request->prepare_prompt().model());
    prepared.set_model_name("tiny");
    prepared.set_tokenizer_digest("words");
    for (int id : {1, 2, 3}) prepared.add_ids(id);
    prepared.set_context_tokens(100);
    prepared.set_vocabulary_size(50);
    answer(request, std::move(reply));
  }
  void answer_missing() {
    const envelope_ptr request = next(proto::Envelope::kLookUpAnswer);
    if (!request) return;
    proto::Envelope reply;
    reply.mutable_answer_missing();
    answer(request, std::move(reply));
  }
  void model_loaded(const std::string& numerics = "cpu-1") {
    const envelope_ptr request = next(proto::Envelope::kLoadModel);
    if (!request) return;
    proto::Envelope reply;
    reply.mutable_model_loaded()->mutable_model()->set_numerics_class(numerics);
    answer(request, std::move(reply));
  }
  // Submits and plays everyone up to the running sequence.
  proto::StartSequence started(const proto::SubmitJob& job) {
    submit(job);
    prompt_prepared();
    answer_missing();
    const envelope_ptr start = next(proto::Envelope::kStartSequence);
    return start ? start->start_sequence() : proto::StartSequence();
  }
  // Every token that a client got so far, taken away; checks that they are contiguous from `from`.
  std::vector<std::int32_t> delivered(std::uint32_t from = 0) {
    std::vector<std::int32_t> out;
    while (envelope_ptr message = next(proto::Envelope::kJobTokens)) {
      const proto::JobTokens& frame = message->job_tokens();
      contiguous &= frame.first_index() == from + out.size();
      out.insert(out.end(), frame.ids().begin(), frame.ids().end());
      text += frame.text();
    }
    return out;
  }

  gateway_settings settings;
  gateway_core core;
  simulated_disk disk;
  bool syncs = true;  // at once, where it is urgent
  std::vector<std::string> logged;
  time_point_us now{1'000'000};
  std::vector<envelope_ptr> sent, told;  // told: to monitoring
  bool contiguous = true;
  std::string text;
};

}  // namespace troupe::cluster
