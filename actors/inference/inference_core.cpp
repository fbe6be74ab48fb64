#include "actors/inference/inference_core.hpp"

#include <algorithm>

#include "actors/inference/sequence_blocks.hpp"
#include "actors/inference/sequence_messages.hpp"

namespace troupe {

inference_core::inference_core(const inference_settings& settings)
    : settings_(settings),
      fences_(settings.fences_kept),
      dropped_(settings.fences_kept),
      shares_(settings.tenants_kept) {}

inference_core::effects inference_core::step(const envelope_ptr& message, time_point_us now) {
  effects out;
  clock_ = std::max(clock_, now);
  switch (message->payload_case()) {
    case proto::Envelope::kLoadEngine:
      load(message, out);
      break;
    case proto::Envelope::kUnloadEngine:
      unload(message, out);
      break;
    case proto::Envelope::kStartSequence:
      start(*message, now, out);
      break;
    case proto::Envelope::kGrantSequenceCredit:
      grant(*message, now, out);
      break;
    case proto::Envelope::kStopSequence:
      stop(*message, now, out);
      break;
    case proto::Envelope::kReleaseBlocks:
      release(*message, out);
      break;
    case proto::Envelope::kError:  // that answers a post of ours: the loss is told by lose_node
      if (message->correlation() == 0 && message->sender().actor() == "gateway")
        return lose_node(message->sender().node(), now);  // it was started again
      break;
    default:
      if (message->correlation() != 0)
        out.posts.push_back(refuse(
            *message, proto::Error::INVALID_ARGUMENT,
            "inference does not take payload number " + std::to_string(message->payload_case())));
  }
  return out;
}

void inference_core::load(const envelope_ptr& message, effects& out) {
  const proto::LoadEngine& wish = message->load_engine();
  slot& at = slots_[wish.model_digest()];
  if (at.facts) {
    out.posts.push_back(engine_loaded(*message, *at.facts));
    return;
  }
  const bool first = at.load_requests.empty();
  at.load_requests.push_back(message);
  if (first) out.loads.push_back(message);
}

inference_core::effects inference_core::engine_made(const std::string& digest,
                                                    const result<engine_facts>& made,
                                                    time_point_us) {
  effects out;
  const auto found = slots_.find(digest);
  if (found == slots_.end()) return out;
  const std::vector<envelope_ptr> requests = std::move(found->second.load_requests);
  if (!made) {
    slots_.erase(found);
    for (const envelope_ptr& request : requests)
      out.posts.push_back(refuse(*request, made.failure()));
    return out;
  }
  slot& at = found->second;
  at.load_requests.clear();
  at.facts = *made;
  at.kv = kernels::tiered_blocks{made->description.kv_blocks, made->host_places};
  at.constraints = std::make_unique<answer_constraints>(made->words);
  at.root = prefix_root(digest, made->description.numerics_class);
  at.window = batch_window{settings_.batch_wait};
  for (const envelope_ptr& request : requests) out.posts.push_back(engine_loaded(*request, *made));
  return out;
}

void inference_core::unload(const envelope_ptr& message, effects& out) {
  const std::string& digest = message->unload_engine().model_digest();
  const auto found = slots_.find(digest);
  if (found != slots_.end() && !found->second.facts) {
    out.posts.push_back(refuse(*message, proto::Error::UNAVAILABLE,
                               "the model " + digest + " is being loaded",
                               "try again when it is ready"));
    return;
  }
  if (found != slots_.end()) {
    fail_where(
        {error_code::unavailable, "the model was unloaded on this node", {}},
        [&](const sequence& s) { return s.digest == digest; }, out);
    slots_.erase(digest);
    out.drops.push_back(digest);
  }
  auto reply = std::make_shared<proto::Envelope>(reply_to(*message));
  reply->mutable_engine_unloaded()->set_model_digest(digest);
  out.posts.push_back(std::move(reply));
}

// True: older than the newest seen for the job.
bool inference_core::fenced(const std::string& key, const proto::Fence& fence) {
  if (!fences_.knows(key) || order_of(fence) >= fences_.newest(key)) return false;
  ++counters_.frames_fenced;
  return true;
}

void inference_core::start(const proto::Envelope& message, time_point_us now, effects& out) {
  const proto::StartSequence& wish = message.start_sequence();
  const std::string key = sequence_key(message.sender().node(), wish.job_id());
  if (fenced(key, wish.fence())) return;
  if (fences_.knows(key) && order_of(wish.fence()) == fences_.newest(key)) {
    ++counters_.frames_fenced;  // a repetition of an attempt that runs or has ended
    return;
  }
  fences_.see(key, order_of(wish.fence()));
  if (const auto older = by_key_.find(key); older != by_key_.end()) {
    ++counters_.frames_fenced;
    remove(*older->second);
  }
  if (const auto wrong = check_start(wish)) {
    ++counters_.sequences_failed;
    out.posts.push_back(sequence_failed(message, *wrong));
    return;
  }
  slot& at = slots_.at(wish.model_digest());
  auto fresh = std::make_unique<sequence>(message, wish, parameters_of(wish.sampling()),
                                          answer_room(wish, at.facts->description, settings_),
                                          at.facts->words, now);
  sequence& s = *fresh;
  s.arrival = ++arrivals_;
  s.root = at.root;
  at.window.arrived(now, !at.running.empty() || !at.waiting.empty());
  shares_.join(s.tenant);
  by_key_.emplace(s.key, &s);
  at.waiting.push_back(std::move(fresh));
  ++counters_.waiting;
  if (!wish.sampling().has_constraint()) return begin(s, now, out);
  const proto::AnswerConstraint& asked = wish.sampling().constraint();
  if (const compiled_constraint rules = at.constraints->known(asked)) {
    s.constrain(kernels::json_matcher(rules));
    return begin(s, now, out);
  }
  s.awaits = asked;
  compile_next(out);
}

std::optional<error> inference_core::check_start(const proto::StartSequence& start) const {
  const std::uint64_t meant_for = start.fence().worker_incarnation();
  if (settings_.incarnation != 0 && meant_for != 0 && meant_for != settings_.incarnation)
    return error{error_code::unavailable,
                 "the attempt is meant for incarnation " + std::to_string(meant_for) +
                     " of this node, which is now " + std::to_string(settings_.incarnation),
                 {}};
  const auto found = slots_.find(start.model_digest());
  if (found == slots_.end() || !found->second.facts)
    return error{error_code::unavailable,
                 "the model " + start.model_digest() + " is not loaded on this node",
                 "load it first"};
  if (counters_.waiting >= settings_.sequences_waiting_max)
    return error{error_code::resource_exhausted,
                 std::to_string(counters_.waiting) + " sequences wait already on this node",
                 "try again later, or raise sequences_waiting_max"};
  return check_job(start, found->second.facts->description, settings_);
}

void inference_core::grant(const proto::Envelope& message, time_point_us now, effects& out) {
  const proto::GrantSequenceCredit& wish = message.grant_sequence_credit();
  const std::string key = sequence_key(message.sender().node(), wish.job_id());
  if (fenced(key, wish.fence())) return;
  const auto found = by_key_.find(key);
  const bool dropped = dropped_.newest(key) == order_of(wish.fence());
  if (found == by_key_.end() && dropped) {
    // This node took the gateway's for lost, while that one stood still and did not notice.
    out.posts.push_back(sequence_failed(
        message, {error_code::unavailable, "this node has forgotten the sequence", "begin again"}));
    return;
  }
  if (found == by_key_.end() || order_of(found->second->fence) != order_of(wish.fence())) return;
  sequence& s = *found->second;
  const std::uint64_t held = s.answer_size();
  if (wish.limit() <= held || wish.limit() - held <= s.credit) return;  // said before
  s.credit = wish.limit() - held;
  s.no_credit_since = now;
}

void inference_core::stop(const proto::Envelope& message, time_point_us now, effects& out) {
  const proto::StopSequence& wish = message.stop_sequence();
  const std::string key = sequence_key(message.sender().node(), wish.job_id());
  if (fenced(key, wish.fence())) return;
  fences_.see(key, order_of(wish.fence()));
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  finish(*found->second, found->second->end(proto::CANCELLED_BY_CLIENT), now, out);
}

// A model that is not here holds nothing.
void inference_core::release(const proto::Envelope& message, effects& out) {
  const proto::ReleaseBlocks& wish = message.release_blocks();
  released_blocks told;
  if (const auto found = slots_.find(wish.model_digest()); found != slots_.end())
    told = forget_blocks({wish.ids().data(), static_cast<std::size_t>(wish.ids_size())},
                         found->second.root, found->second.kv);
  auto reply = std::make_shared<proto::Envelope>(reply_to(message));
  reply->mutable_blocks_released()->set_blocks_freed(told.freed);
  reply->mutable_blocks_released()->set_blocks_kept(told.kept);
  out.posts.push_back(std::move(reply));
}

inference_core::effects inference_core::lose_node(const std::string& node, time_point_us) {
  std::vector<sequence*> lost;
  for (const auto& [key, s] : by_key_)
    if (s->gateway_node == node) lost.push_back(s);
  for (sequence* s : lost) {
    dropped_.see(s->key, order_of(s->fence));
    remove(*s);
  }
  return {};
}

inference_core::effects inference_core::lose_engine(const std::string& digest, const error& why,
                                                    time_point_us) {
  effects out;
  if (!slots_.contains(digest)) return out;
  fail_where(
      {error_code::unavailable, why.message, why.mend},
      [&](const sequence& s) { return s.digest == digest; }, out);
  slots_.erase(digest);
  out.drops.push_back(digest);
  auto told = std::make_shared<proto::Envelope>();
  told->mutable_sender()->set_node(settings_.node);
  told->mutable_sender()->set_actor("inference");
  told->mutable_target()->set_node(settings_.node);
  told->mutable_target()->set_actor("model_loader");
  told->mutable_engine_lost()->set_model_digest(digest);
  proto::Error& reason = *told->mutable_engine_lost()->mutable_error();
  reason.set_code(static_cast<proto::Error::Code>(why.code));
  reason.set_message(why.message);
  reason.set_mend(why.mend);
  out.posts.push_back(std::move(told));
  return out;
}

inference_core::effects inference_core::tick(time_point_us now) {
  effects out;
  clock_ = std::max(clock_, now);
  fail_where(
      {error_code::deadline_exceeded, "the job's deadline passed on the worker", {}},
      [&](const sequence& s) { return s.expires && *s.expires <= now; }, out);
  const auto credit_wait = settings_.credit_wait;
  fail_where(
      {error_code::deadline_exceeded,
       "the receiver granted no credit for " + std::to_string(credit_wait.count()) + " ms",
       {}},
      [&](const sequence& s) {
        return s.answers() && s.credit == 0 && now - s.no_credit_since >= credit_wait;
      },
      out);
  return out;
}

void inference_core::finish(sequence& s, const sequence::outcome& how, time_point_us now,
                            effects& out) {
  out.posts.push_back(sequence_finished(s, how, slots_.at(s.digest).facts->description, now));
  ++counters_.sequences_finished;
  remove(s);
}

void inference_core::fail(sequence& s, const error& why, effects& out) {
  out.posts.push_back(sequence_failed(s, why));
  ++counters_.sequences_failed;
  remove(s);
}

template <class Choose>
void inference_core::fail_where(const error& why, Choose&& choose, effects& out) {
  std::vector<sequence*> chosen;
  for (const auto& [key, s] : by_key_)
    if (choose(*s)) chosen.push_back(s);
  std::sort(chosen.begin(), chosen.end(),
            [](const sequence* a, const sequence* b) { return a->key < b->key; });
  for (sequence* s : chosen) fail(*s, why, out);
}

void inference_core::remove(sequence& s) {
  slot& at = slots_.at(s.digest);
  release_blocks(s, at.kv);
  shares_.leave(s.tenant);
  by_key_.erase(s.key);
  --(s.running ? counters_.running : counters_.waiting);
  auto& line = s.running ? at.running : at.waiting;
  line.erase(
      std::find_if(line.begin(), line.end(), [&](const auto& other) { return other.get() == &s; }));
}

engine_uses inference_core::engines() const {
  engine_uses all;
  for (const auto& [digest, at] : slots_) {
    engine_use& use = all[digest] = at.counted;
    use.running = static_cast<std::uint32_t>(at.running.size());
    use.waiting = static_cast<std::uint32_t>(at.waiting.size());
    use.kv_blocks = at.kv.size();
    use.kv_blocks_used = at.kv.size() - at.kv.available();
    use.kv_blocks_reusable = at.kv.reusable_count();
    use.host_blocks = at.kv.host().places();
    use.host_blocks_used = at.kv.host().used();
    use.host_block_bytes = at.facts ? at.facts->host_block_bytes : 0;
    use.host_blocks_copied_out = at.kv.count().copied_out;
    use.host_blocks_restored = at.kv.count().restored;
    use.host_blocks_dropped = at.kv.host().dropped();
  }
  return all;
}

void inference_core::set_copy_room(const std::string& digest, std::uint32_t copies) {
  if (const auto found = slots_.find(digest); found != slots_.end())
    found->second.kv.set_room(copies);
}

std::pair<std::uint32_t, std::uint32_t> inference_core::blocks_of(const std::string& digest) const {
  const auto found = slots_.find(digest);
  if (found == slots_.end()) return {0, 0};
  return {found->second.kv.available(), found->second.kv.size()};
}

// Each model gets an equal part of them.
std::vector<prefix_name> inference_core::prefixes(std::size_t most) const {
  std::vector<prefix_name> names;
  for (const auto& [digest, at] : slots_) {
    const auto some = at.kv.names(most / slots_.size());
    names.insert(names.end(), some.begin(), some.end());
  }
  return names;
}

}  // namespace troupe
