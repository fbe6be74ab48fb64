// What the role shells do around their cores.
#include "tests/sim/node.hpp"

namespace troupe::sim {
namespace {

constexpr std::uint32_t context_tokens = 96;

// Engines differ by their model alone.
std::uint64_t key_of(const std::string& digest) {
  return static_cast<std::uint64_t>(static_cast<unsigned char>(digest.at(0)));
}

proto::Envelope between(const std::string& node, const char* from, const char* to) {
  proto::Envelope message;
  message.mutable_sender()->set_node(node);
  message.mutable_sender()->set_actor(from);
  message.mutable_target()->set_node(node);
  message.mutable_target()->set_actor(to);
  return message;
}

envelope_ptr shared(proto::Envelope message) {
  return std::make_shared<const proto::Envelope>(std::move(message));
}

}  // namespace

void node::step(part which, const envelope_ptr& message, time_point_us now) {
  envelope_ptr seen = message;
  if (seam_) {
    auto altered = std::make_shared<proto::Envelope>(*message);
    if (!seam_->to(which, *altered)) return;
    seen = std::move(altered);
  }
  switch (which) {
    case part::gateway:
      return to_gateway(*message, seen, now);
    case part::node:
      return to_node_actor(seen, now);
    case part::inference:
      return to_inference(seen, now);
    case part::cache_tier:
      return take(cache_->step(seen, now), now);
    case part::model_loader:
      return take(loader_->step(seen, now));
  }
}

void node::tick(part which, time_point_us now) {
  switch (which) {
    case part::gateway:
      return take(gateway_->tick(now));
    case part::inference:
      if (plan_.computes) take(inference_->tick(now));
      return;
    case part::model_loader:
      return take(loader_->tick(now));
    case part::cache_tier:
      if (redis_ && cache_->wants_probe(now)) {
        const auto said = redis_->entries();
        cache_->absorb_probe(said, time_point_us(redis_->took), now);
      }
      if (const auto next = redis_ ? cache_->next_write(now) : std::nullopt) {
        const status said = redis_->set(next->name, next->record);
        cache_->absorb_write(said, time_point_us(redis_->took), now);
      }
      return;
    case part::node:
      break;
  }
  const inference_core::counters& load = inference_->count();
  membership_->own_prefixes(inference_->prefixes(settings_.inference.prefixes_shown_max));
  membership_->own_load({load.running, load.waiting,
                         plan_.computes ? settings_.inference.sequences_running_max : 0, 0});
  for (const auto& [from, came] : std::exchange(heard_, {}))
    take(membership_->frame_from(from, came, now));
  take(membership_->tick(now));
  if (models_pace_.due(now)) ask_for_models(now);
}

void node::ask_for_models(time_point_us now) {
  models_pace_.looked(now);
  proto::Envelope message = between(plan_.name, "node", "model_loader");
  message.set_correlation(++correlation_);
  message.mutable_list_models();
  post(part::node, shared(std::move(message)));
}

// ---- gateway ----

// arrived: as it was sent, which is what the history tells.
void node::to_gateway(const proto::Envelope& arrived, const envelope_ptr& message,
                      time_point_us now) {
  const auto fenced = gateway_->counters().frames_fenced;
  event seen;
  const auto look = [&](const auto& frame) {
    seen.what = what::frame;
    seen.node = plan_.name;
    seen.who = arrived.sender().node();
    seen.job = frame.job_id();
    seen.epoch = frame.fence().gateway_epoch();
    seen.attempt = frame.fence().attempt();
  };
  if (arrived.has_sequence_tokens()) look(arrived.sequence_tokens());
  if (arrived.has_sequence_finished()) look(arrived.sequence_finished());
  if (arrived.has_sequence_failed()) look(arrived.sequence_failed());
  cluster::gateway_effects effects = gateway_->receive(*message, now);
  seen.count = gateway_->counters().frames_fenced == fenced;
  if (seen.what == what::frame) watch_.record(std::move(seen));
  take(std::move(effects));
}

// Written at once, synced with what comes meanwhile; sooner where somebody waits for it.
void node::write(const journal::batch& records) {
  disk_.journal.write(records);
  if (seam_ && seam_->syncs_nothing())
    notice(part::gateway, [this, position = records.position](time_point_us now) {
      take(gateway_->durable(position, now));
    });
  if (std::exchange(sync_asked_, true)) return;
  const time_us wait = records.urgent ? dice_.between(300, 9'000) : dice_.between(5'000, 60'000);
  later(wait, [this, life = of(part::gateway).generation] {
    if (of(part::gateway).generation != life) return;
    sync_asked_ = false;
    if (seam_ && seam_->syncs_nothing()) return;
    notice(part::gateway, [this, position = disk_.journal.sync()](time_point_us now) {
      take(gateway_->durable(position, now));
    });
  });
}

void node::tell_recovered() {
  event seen;
  seen.what = what::recovered;
  seen.node = plan_.name;
  for (const proto::JournalRecord& record : disk_.journal.content())
    if (record.has_taken()) seen.text += record.taken().asked().job_id();
  seen.first = static_cast<std::uint32_t>(settings_.gateway.detach_grace.count());
  watch_.record(std::move(seen));
}

void node::take(cluster::gateway_effects effects) {
  if (!effects.journal.records.empty()) write(effects.journal);
  for (envelope_ptr& message : effects.messages) post(part::gateway, std::move(message));
}

void node::record_outgoing(part from, const proto::Envelope& message) {
  event seen;
  seen.node = plan_.name;
  if (from == part::gateway && message.has_observe_job()) {
    const proto::JobFinished& finished = message.observe_job().finished();
    seen.what = what::sealed;
    seen.job = finished.job_id();
    seen.epoch = settings_.gateway.epoch;
    seen.reason = finished.reason();
    seen.count = finished.answer_tokens();
    seen.hash = finished.running_hash();
    return watch_.record(std::move(seen));
  }
  if (from != part::inference) return;
  const auto look = [&](const auto& frame) {
    seen.what = what::sending;
    seen.who = message.target().node();
    seen.job = frame.job_id();
    seen.epoch = frame.fence().gateway_epoch();
    seen.attempt = frame.fence().attempt();
    watch_.record(std::move(seen));
  };
  if (message.has_sequence_tokens()) look(message.sequence_tokens());
  if (message.has_sequence_finished()) look(message.sequence_finished());
}

// ---- node ----

void node::to_node_actor(const envelope_ptr& message, time_point_us now) {
  if (message->sender().node() != plan_.name)
    return take(membership_->heard(message->sender().node(), *message, now));
  if (!message->has_model_list()) return;
  const auto& models = message->model_list().models();
  cluster::membership_effects effects =
      membership_->own_models({models.begin(), models.end()}, local_time());
  models_pace_.found(!effects.view_changed);
  take(std::move(effects));
}

void node::take(cluster::membership_effects effects) {
  for (envelope_ptr& message : effects.messages) post(part::node, std::move(message));
  if (effects.view_changed) tell_view();
  for (const cluster::node_loss& loss : effects.lost) tell_lost(loss);
  for (const std::string& address : effects.dial) dial(address);
  for (const std::string& address : effects.hang_up) hang_up(address);
}

void node::tell_view() {
  cluster::cluster_view_ptr view = membership_->view();
  if (seam_) {
    auto altered = std::make_shared<cluster::cluster_view>(*view);
    seam_->shows(*altered);
    view = std::move(altered);
  }
  notice(part::gateway,
         [this, view](time_point_us now) { take(gateway_->view_changed(view, now)); });
}

void node::tell_lost(const cluster::node_loss& loss) {
  const std::string& lost = loss.node;
  event seen;
  seen.what = what::node_lost;
  seen.node = plan_.name;
  seen.who = lost;
  seen.text = loss.reason;
  const bool verdict = loss.cause == cluster::loss_cause::unreachable;
  seen.count = verdict && watch_.all_others_reach(lost);
  watch_.record(std::move(seen));
  const auto tells = [&](part which) { return !seam_ || seam_->tells_lost(which, lost); };
  if (tells(part::gateway))
    notice(part::gateway, [this, lost, died = loss.died()](time_point_us now) {
      take(gateway_->node_lost(lost, now, died));
    });
  if (plan_.computes && tells(part::inference))
    notice(part::inference,
           [this, lost](time_point_us now) { take(inference_->lose_node(lost, now)); });
  notice(part::model_loader,
         [this, lost](time_point_us now) { take(loader_->lose_node(lost, now)); });
}

void node::tell_restart(const std::string& actor) {
  notice(part::gateway, [this, actor](time_point_us now) {
    take(gateway_->actor_restarted(plan_.name, actor, now));
  });
  for (const cluster::member& m : membership_->view()->members) {
    if (!m.up) continue;
    proto::Envelope message = between(plan_.name, actor.c_str(), "gateway");
    message.mutable_target()->set_node(m.name);
    message.mutable_error()->set_code(proto::Error::UNAVAILABLE);
    message.mutable_error()->set_message(actor + " was started again");
    if (!m.self) post(part::node, shared(message));
    if (actor != "gateway") continue;
    message.mutable_target()->set_actor("inference");
    post(part::node, shared(std::move(message)));
  }
  if (actor == "gateway") tell_view();
}

// ---- inference ----

void node::to_inference(const envelope_ptr& message, time_point_us now) {
  if (message->has_start_sequence()) {
    const proto::StartSequence& start = message->start_sequence();
    event seen;
    seen.what = what::attempt;
    seen.node = plan_.name;
    seen.who = message->sender().node();
    seen.job = start.job_id();
    seen.epoch = start.fence().gateway_epoch();
    seen.attempt = start.fence().attempt();
    watch_.record(std::move(seen));
  }
  take(inference_->step(message, now));
}

void node::take(inference_core::effects effects) {
  for (const std::string& digest : effects.drops) engines_.erase(digest);
  for (envelope_ptr& message : effects.posts) post(part::inference, std::move(message));
  for (const envelope_ptr& wish : effects.loads) {
    const std::string digest = wish->load_engine().model_digest();
    const std::uint64_t life = of(part::inference).generation;
    later(dice_.between(5'000, 80'000), [this, digest, life] {
      if (of(part::inference).generation != life) return;
      notice(part::inference, [this, digest](time_point_us now) {
        auto engine =
            std::make_unique<fakes::prf_engine>(plan_.kv_blocks, context_tokens, key_of(digest));
        engine_facts facts{engine->description(), std::make_shared<fakes::letters>(), {1, 2, 3}, 5};
        engines_[digest] = std::move(engine);
        take(inference_->engine_made(digest, facts, now));
      });
    });
  }
  if (!effects.compile) return;
  const std::uint64_t life = of(part::inference).generation;
  later(dice_.between(500, 60'000), [this, wish = *std::move(effects.compile), life] {
    if (of(part::inference).generation != life) return;
    notice(part::inference, [this, wish](time_point_us now) {
      take(inference_->constraint_made(wish, make_constraint(wish), now));
    });
  });
}

void node::work() {
  if (!plan_.computes || working_ || !inference_->has_work()) return;
  begin_step(local_time());
}

void node::begin_step(time_point_us now) {
  auto batch = inference_->plan(now);
  if (!batch) {  // waits for company
    later(500, [this] { notice(part::inference, [](time_point_us) {}); });
    return;
  }
  for (const sequence* s : batch->sequences)
    if (s->answer_size() >= 2 && watch_.is_poison(s->job_id))
      return watch_.poisoned(s->gateway_node);
  fakes::prf_engine& engine = *engines_.at(batch->digest);
  engine.fail_next = std::exchange(engine_fails_, false);
  const auto logits = engine.step(batch->steps);
  engine.fail_next = false;
  working_ = true;
  actor& it = of(part::inference);
  const time_us took = dice_.between(plan_.step_min, plan_.step_max);
  it.busy_until = clock_.now() + took;
  later(took, [this, batch = std::move(*batch), logits, life = it.generation] {
    if (of(part::inference).generation != life) return;
    working_ = false;
    of(part::inference).busy_until = 0;
    take(inference_->absorb(batch, logits, local_time()));
    if (of(part::inference).mailbox.empty()) work();
  });
}

// ---- cache tier, model loader ----

void node::take(cache_core::effects effects, time_point_us now) {
  if (effects.read) {
    const auto said = redis_->get(effects.read->name);
    const time_us took = redis_->took;
    of(part::cache_tier).busy_until = clock_.now() + took;
    proto::CachedAnswer believed;
    if (seam_ && said.ok() && *said && seam_->believes(**said, believed)) {
      proto::Envelope found = reply_to(*effects.read->request);
      *found.mutable_answer_found()->mutable_answer() = std::move(believed);
      found.mutable_answer_found()->set_tier(proto::SHARED_CACHE);
      effects.posts.push_back(shared(std::move(found)));
    } else {
      const time_point_us later_on = now + time_point_us(took);
      auto after = cache_->absorb_read(*effects.read, said, time_point_us(took), later_on);
      effects.posts.insert(effects.posts.end(), after.posts.begin(), after.posts.end());
    }
    later(took, [this, posts = effects.posts] {
      for (const envelope_ptr& message : posts) post(part::cache_tier, message);
    });
    return;
  }
  for (envelope_ptr& message : effects.posts) post(part::cache_tier, std::move(message));
}

void node::take(loader_core::effects effects) {
  for (envelope_ptr& message : effects.posts) post(part::model_loader, std::move(message));
  for (loader_command& command : effects.commands) {
    if (const auto* wish = std::get_if<serve_bytes>(&command)) {
      post(part::model_loader, bytes_served(*wish, *disk_.models));
      continue;
    }
    if (const auto* wish = std::get_if<save_memory>(&command)) {
      disk_.models->save_memory(wish->text);
      continue;
    }
    later(dice_.between(200, 20'000), [this, command = std::move(command)] {
      auto report = carry_out(command, *disk_.models);
      if (report)
        notice(part::model_loader, [this, report = std::move(*report)](time_point_us now) {
          take(loader_->absorb(report, now));
        });
    });
  }
}

// ---- the end ----

void node::report_left_over() const {
  const auto tell = [&](const char* of_what, std::uint64_t count) {
    event left;
    left.what = what::left;
    left.node = plan_.name;
    left.text = of_what;
    left.count = static_cast<std::uint32_t>(count);
    watch_.record(std::move(left));
  };
  tell("jobs that run", gateway_->counters().running);
  tell("requests that wait", gateway_->waiting_requests());
  tell("sequences", inference_->count().running + inference_->count().waiting);
  for (const auto& [digest, engine] : engines_) {
    const auto [available, all] = inference_->blocks_of(digest);
    tell("KV blocks in use", all - available);
  }
}

}  // namespace troupe::sim
