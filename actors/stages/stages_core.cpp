#include "actors/stages/stages_core.hpp"

#include <algorithm>

namespace troupe {
namespace {

constexpr std::size_t name_bytes = 16;

}  // namespace

stages_core::effects stages_core::step(const envelope_ptr& message, time_point_us now) {
  effects out;
  switch (message->payload_case()) {
    case proto::Envelope::kOpenStage:
      open_stage(message, now, out);
      break;
    case proto::Envelope::kStepStage:
      step_stage(message, out);
      break;
    case proto::Envelope::kCloseStage: {
      const auto at = held_.find(message->close_stage().stage());
      if (at != held_.end() && at->second.head() == message->sender().node()) drop(at->first, out);
      break;
    }
    case proto::Envelope::kModelLoaded:
    case proto::Envelope::kError:
      file_found(*message, out);
      break;
    default:
      if (message->correlation() != 0)
        out.posts.push_back(refuse(
            *message, proto::Error::INVALID_ARGUMENT,
            "stages does not take payload number " + std::to_string(message->payload_case())));
  }
  return out;
}

void stages_core::open_stage(const envelope_ptr& message, time_point_us now, effects& out) {
  const proto::OpenStage& wish = message->open_stage();
  if (wish.stage().size() != name_bytes || wish.layer_first() == 0 ||
      wish.layer_end() <= wish.layer_first() || wish.kv_blocks() == 0 ||
      wish.batch_tokens_max() == 0 || wish.batch_tokens_max() > settings_.batch_tokens_max ||
      (wish.kv_type() != "f16" && wish.kv_type() != "q8_0")) {
    out.posts.push_back(refuse(*message, proto::Error::INVALID_ARGUMENT,
                               "a stage needs a name of 16 bytes, layers behind the first, blocks, "
                               "a known type of keys and values and up to " +
                                   std::to_string(settings_.batch_tokens_max) + " tokens a step",
                               "both nodes need the same version"));
    return;
  }
  if (const auto known = held_.find(wish.stage()); known != held_.end()) {
    if (known->second.head() != message->sender().node())
      out.posts.push_back(refuse(*message, proto::Error::INVALID_ARGUMENT,
                                 "that stage is another node's", "draw another name"));
    else if (known->second.made)
      out.posts.push_back(opened(known->second));
    return;  // else: it is on its way
  }
  // What the same head had of the model before, it has forgotten.
  std::vector<std::string> older;
  for (const auto& [name, stage] : held_)
    if (stage.head() == message->sender().node() &&
        stage.request->open_stage().model_digest() == wish.model_digest())
      older.push_back(name);
  for (const std::string& name : older) drop(name, out);
  if (held_.size() >= settings_.stages_max) {
    out.posts.push_back(refuse(*message, proto::Error::RESOURCE_EXHAUSTED,
                               std::to_string(held_.size()) + " stages are here already",
                               "split fewer models over this node"));
    return;
  }
  held_stage& fresh = held_[wish.stage()];
  fresh.request = message;
  fresh.expires = now + settings_.file_wait;
  // Begins at the clock so that a reply to an earlier life of this actor matches nothing.
  last_correlation_ = std::max(last_correlation_, static_cast<std::uint64_t>(now.count()) << 8) + 1;
  fresh.file_asked = last_correlation_;
  auto question = std::make_shared<proto::Envelope>();
  question->mutable_sender()->set_node(settings_.node);
  question->mutable_sender()->set_actor("stages");
  question->mutable_target()->set_node(settings_.node);
  question->mutable_target()->set_actor("model_loader");
  question->set_correlation(last_correlation_);
  question->set_deadline_ms(static_cast<std::uint32_t>(settings_.file_wait.count()));
  question->mutable_load_model()->set_model(wish.model_digest());
  question->mutable_load_model()->add_holders(message->sender().node());
  question->mutable_load_model()->set_file_only(true);
  out.posts.push_back(std::move(question));
}

void stages_core::file_found(const proto::Envelope& message, effects& out) {
  if (message.sender().node() != settings_.node || message.correlation() == 0) return;
  const auto at = std::find_if(held_.begin(), held_.end(), [&](const auto& one) {
    return one.second.file_asked == message.correlation() &&
           one.second.state == held_stage::waits_for_file;
  });
  if (at == held_.end()) return;
  if (message.has_error())
    return refuse_opening(at->first,
                          {static_cast<error_code>(message.error().code()),
                           message.error().message(), message.error().mend()},
                          out);
  at->second.path = message.model_loaded().model().path();
  at->second.state = held_stage::waits_for_turn;
  turns_.push_back(at->first);
  make_next(out);
}

// One after the other, so that each knows what the ones before have left.
void stages_core::make_next(effects& out) {
  const bool busy = std::any_of(held_.begin(), held_.end(), [](const auto& one) {
    return one.second.state == held_stage::in_making;
  });
  if (busy || turns_.empty()) return;
  const std::string name = turns_.front();
  turns_.pop_front();
  held_stage& stage = held_.at(name);
  stage.state = held_stage::in_making;
  const std::uint64_t used = memory_used();
  out.open = stage_opening{name, stage.request->open_stage(), stage.path,
                           settings_.memory_bytes_max - std::min(used, settings_.memory_bytes_max)};
}

stages_core::effects stages_core::stage_made(const std::string& name,
                                             const result<kernels::engine_description>& made) {
  effects out;
  const auto at = held_.find(name);
  if (at == held_.end()) return out;
  if (at->second.unwanted) {
    held_.erase(at);
    out.drops.push_back(name);
  } else if (!made) {
    refuse_opening(name, made.failure(), out);
  } else {
    at->second.state = held_stage::open;
    at->second.made = *made;
    out.posts.push_back(opened(at->second));
  }
  make_next(out);
  return out;
}

envelope_ptr stages_core::opened(const held_stage& stage) const {
  auto reply = std::make_shared<proto::Envelope>(reply_to(*stage.request));
  proto::StageOpened& told = *reply->mutable_stage_opened();
  told.set_stage(stage.request->open_stage().stage());
  told.set_kv_blocks(stage.made->kv_blocks);
  told.set_backend(stage.made->backend);
  told.set_numerics_class(stage.made->numerics_class);
  told.set_variant(stage.made->variant);
  told.set_weight_bytes(stage.made->weight_bytes);
  told.set_kv_bytes(stage.made->kv_bytes);
  return reply;
}

void stages_core::step_stage(const envelope_ptr& message, effects& out) const {
  const auto at = held_.find(message->step_stage().stage());
  if (at == held_.end() || !at->second.made || at->second.head() != message->sender().node()) {
    if (message->correlation() != 0)
      out.posts.push_back(refuse(*message, proto::Error::NOT_FOUND,
                                 "node " + settings_.node + " has no such stage",
                                 "it was started again, or took its head for lost: load the model "
                                 "again"));
    return;
  }
  out.steps.push_back(message);
}

void stages_core::refuse_opening(const std::string& name, const error& why, effects& out) {
  const auto at = held_.find(name);
  if (at == held_.end()) return;
  out.posts.push_back(refuse(*at->second.request, why));
  std::erase(turns_, name);
  held_.erase(at);
}

void stages_core::drop(const std::string& name, effects& out) {
  const auto at = held_.find(name);
  if (at == held_.end()) return;
  if (at->second.state == held_stage::in_making) {
    at->second.unwanted = true;
    return;
  }
  if (at->second.state == held_stage::open) out.drops.push_back(name);
  std::erase(turns_, name);
  held_.erase(at);
}

stages_core::effects stages_core::lose_node(const std::string& node) {
  effects out;
  std::vector<std::string> lost;
  for (const auto& [name, stage] : held_)
    if (stage.head() == node) lost.push_back(name);
  for (const std::string& name : lost) drop(name, out);
  return out;
}

stages_core::effects stages_core::tick(time_point_us now) {
  effects out;
  std::vector<std::string> late;
  for (const auto& [name, stage] : held_)
    if (stage.state == held_stage::waits_for_file && stage.expires <= now) late.push_back(name);
  for (const std::string& name : late)
    refuse_opening(name,
                   {error_code::deadline_exceeded,
                    "the model's file did not come to node " + settings_.node + " in time",
                    "copy it there, or try again: what has come is kept"},
                   out);
  return out;
}

void stages_core::stepped(const std::string& stage, std::uint64_t step_us) {
  const auto at = held_.find(stage);
  if (at == held_.end()) return;
  ++at->second.steps;
  at->second.step_us += step_us;
}

std::vector<proto::StageShown> stages_core::shown() const {
  std::vector<proto::StageShown> all;
  for (const auto& [name, stage] : held_) {
    if (!stage.made) continue;
    const proto::OpenStage& wish = stage.request->open_stage();
    proto::StageShown& one = all.emplace_back();
    one.set_head(stage.head());
    one.set_model_digest(wish.model_digest());
    one.set_layer_first(wish.layer_first());
    one.set_layer_end(wish.layer_end());
    one.set_weight_bytes(stage.made->weight_bytes);
    one.set_kv_bytes(stage.made->kv_bytes);
    one.set_steps(stage.steps);
    one.set_step_us(stage.step_us);
  }
  return all;
}

std::uint64_t stages_core::memory_used() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, stage] : held_)
    if (stage.made) bytes += stage.made->weight_bytes + stage.made->kv_bytes;
  return bytes;
}

}  // namespace troupe
