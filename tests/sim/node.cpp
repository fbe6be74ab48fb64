// Mailboxes, and who gets an envelope.
#include "tests/sim/node.hpp"

#include <algorithm>

namespace troupe::sim {
namespace {

constexpr std::array<std::string_view, 5> names = {"gateway", "node", "inference", "cache_tier",
                                                   "model_loader"};
constexpr std::array<std::string_view, 3> client_reach = {"gateway", "node", "model_loader"};

}  // namespace

node::node(clockwork& clock, network& net, dice chances, const node_plan& plan,
           const core_settings& settings, const link::link_settings& link, node_disk& disk,
           shared_redis* redis, std::unique_ptr<seam> planted, node_watch watch)
    : process(clock, net, chances, {plan.name, disk.incarnation, link::peer_role::node},
              plan.address, link),
      plan_(plan),
      settings_(settings),
      disk_(disk),
      watch_(std::move(watch)),
      seam_(std::move(planted)) {
  settings_.gateway.node = settings_.inference.node = settings_.cache.node = plan.name;
  settings_.membership.self = plan.name;
  settings_.membership.peers = plan.dials;
  settings_.membership.incarnation = settings_.inference.incarnation = disk.incarnation;
  settings_.gateway.seed_salt = dice_.next();
  settings_.gateway.retry_seed = dice_.next();
  if (seam_) seam_->configure(settings_);
  if (redis && plan.uses_redis) redis_ = std::make_unique<redis_door>(*redis, dice_.split(1));
  of(part::gateway).tick_every = 50'000;
  of(part::node).tick_every = static_cast<time_us>(settings_.membership.tick_every().count());
  for (const part which :
       {part::node, part::cache_tier, part::inference, part::model_loader, part::gateway})
    make_core(which);
  for (const std::string& peer : plan.dials) dial(peer);
  for (std::size_t i = 0; i < actors_.size(); ++i) start_ticking(static_cast<part>(i));
  tell_view();
}

node::~node() = default;

void node::make_core(part which) {
  switch (which) {
    case part::node:
      settings_.membership.restarts = restarts_[part::node];
      membership_.emplace(settings_.membership);
      membership_->own_address(plan_.address);
      models_pace_ = {};
      for (const auto& [name, peer] : peers_) tell_up(peer);
      return;
    case part::gateway:
      settings_.gateway.epoch = (settings_.inference.incarnation << 16) + restarts_[part::gateway];
      if (seam_) seam_->configure(settings_);
      gateway_.emplace(settings_.gateway);
      if (!settings_.gateway.journal) return;
      tell_recovered();
      return notice(which, [this](time_point_us now) {
        take(gateway_->recover(disk_.journal.content(), now));
      });
    case part::inference:
      inference_.emplace(settings_.inference);
      engines_.clear();
      working_ = false;
      return;
    case part::cache_tier:
      cache_.emplace(settings_.cache, redis_ != nullptr);
      return;
    case part::model_loader: {
      loader_settings mine;
      mine.node = plan_.name;
      mine.memory_bytes_max = 1'000'000;
      mine.kv_bytes = plan_.kv_blocks * 16;
      mine.piece_bytes = 64;
      mine.piece_wait = std::chrono::milliseconds(500);
      mine.holder_wait = std::chrono::milliseconds(500);
      loader_.emplace(
          mine, 0, loader_memory::parse(disk_.models->load_memory()),
          [this](const std::string& digest) {
            const engine_uses engines = inference_->engines();
            const auto found = engines.find(digest);
            return found == engines.end() ? 0u : found->second.running + found->second.waiting;
          });
      return notice(which, [this](time_point_us now) { take(loader_->begin(now)); });
    }
    default:
      return;
  }
}

std::optional<part> node::part_of(const std::string& actor) const {
  const auto at = std::find(names.begin(), names.end(), actor);
  if (at == names.end()) return std::nullopt;
  const part which = static_cast<part>(at - names.begin());
  if (which == part::inference && !plan_.computes) return std::nullopt;
  return which;
}

void node::restart_actor(part which) {
  actor& it = of(which);
  it.mailbox.clear();
  ++it.generation;
  it.scheduled = false;
  it.busy_until = 0;
  ++restarts_[which];
  if (which == part::gateway) disk_.journal.kill(), sync_asked_ = false;
  make_core(which);
  const std::string actor(names[static_cast<std::size_t>(which)]);
  if (which == part::node) {  // it may have died with the news of a loss in its mailbox
    tell_view();
    for (const std::string& gone : gone_) tell_lost({gone, cluster::loss_cause::session_ended, {}});
  }
  notice(part::node, [this, actor](time_point_us) { tell_restart(actor); });
  if (which == part::inference)
    notice(part::model_loader,
           [this](time_point_us now) { take(loader_->inference_restarted(now)); });
}

void node::overflow(part which, time_us time) {
  time_us& until = overflows_until_[which];
  until = std::max(until, clock_.now() + time);
}

bool node::overflows(part which, const proto::Envelope& message) {
  if (overflows_until_[which] <= clock_.now()) return false;
  if (which == part::gateway)
    return message.sender().actor() == "inference" || message.has_grant_job_credit();
  return message.has_start_sequence() || message.has_grant_sequence_credit();
}

// ---- mailboxes ----

void node::notice(part which, std::function<void(time_point_us)> what) {
  of(which).mailbox.push_back(std::move(what));
  schedule(which);
}

void node::schedule(part which) {
  actor& it = of(which);
  if (it.scheduled || it.mailbox.empty()) return;
  it.scheduled = true;
  const time_us wait = it.busy_until > clock_.now() ? it.busy_until - clock_.now() : 0;
  later(wait + 1 + dice_.below(30), [this, which, generation = it.generation] {
    if (of(which).generation == generation) run_mailbox(which);
  });
}

void node::run_mailbox(part which) {
  actor& it = of(which);
  it.scheduled = false;
  if (it.mailbox.empty()) return;
  if (it.busy_until > clock_.now()) return schedule(which);
  const auto next = std::move(it.mailbox.front());
  it.mailbox.pop_front();
  next(local_time());
  if (which == part::inference && it.mailbox.empty()) work();
  schedule(which);
}

void node::start_ticking(part which) {
  later(of(which).tick_every + dice_.below(1'000), [this, which] {
    notice(which, [this, which](time_point_us now) { tick(which, now); });
    start_ticking(which);
  });
}

// ---- the switchboard ----

void node::deliver(envelope_ptr message) {
  const auto which = part_of(message->target().actor());
  if (!which) {
    if (message->target().actor() != "monitoring")
      bounce(*message, proto::Error::NOT_FOUND, "no such actor here");
    return;
  }
  notice(*which, [this, which = *which, message = std::move(message)](time_point_us now) {
    step(which, message, now);
  });
}

void node::bounce(const proto::Envelope& message, proto::Error::Code code, const std::string& why) {
  if (message.correlation() == 0 || message.has_error()) return;
  envelope_ptr answer = refuse(message, code, why);
  if (answer->target().node() == plan_.name) return deliver(std::move(answer));
  (void)send(answer).ok();
}

void node::post(part from, envelope_ptr message) {
  record_outgoing(from, *message);
  if (seam_) {
    proto::Envelope altered = *message;
    std::vector<proto::Envelope> more;
    const bool goes = seam_->from(from, altered, more);
    if (goes) send_out(std::make_shared<const proto::Envelope>(std::move(altered)));
    for (proto::Envelope& one : more)
      send_out(std::make_shared<const proto::Envelope>(std::move(one)));
    return;
  }
  send_out(std::move(message));
}

void node::send_out(envelope_ptr message) {
  if (lies_ > 0 && message->has_sequence_tokens() && dice_.chance(lies_)) {
    auto wrong = std::make_shared<proto::Envelope>(*message);
    wrong->mutable_sequence_tokens()->set_ids(0, wrong->sequence_tokens().ids(0) ^ 1);
    message = std::move(wrong);
  }
  if (message->target().node() == plan_.name) return deliver(std::move(message));
  const status sent = send(message);
  if (sent) return;
  if (message->target().actor() == "client")
    notice(part::gateway, [this, client = message->target().node()](time_point_us now) {
      take(gateway_->node_lost(client, now));
    });
  bounce(*message, static_cast<proto::Error::Code>(sent.failure().code), sent.failure().message);
}

void node::on_envelopes(const link::peer_view& from, std::span<envelope_ptr> messages) {
  const bool client = from.who.role == link::peer_role::client;
  if (!client) heard_[from.who.name] = local_time();
  for (envelope_ptr& message : messages) {
    const std::string& actor = message->target().actor();
    const bool reaches =
        !client || std::find(client_reach.begin(), client_reach.end(), actor) != client_reach.end();
    if (message->sender().node() != from.who.name || message->target().node() != plan_.name ||
        !reaches) {
      bounce(*message, proto::Error::PERMISSION_DENIED, "not for " + from.who.name);
      continue;
    }
    const auto which = part_of(actor);
    if (which && overflows(*which, *message)) {
      bounce(*message, proto::Error::RESOURCE_EXHAUSTED, "too many messages wait");
      continue;
    }
    deliver(std::move(message));
  }
}

void node::on_up(const link::peer_view& peer) {
  if (peer.who.role == link::peer_role::client) return;
  peers_[peer.who.name] = peer;
  gone_.erase(peer.who.name);
  tell_up(peer);
}

void node::tell_up(const link::peer_view& peer) {
  notice(part::node, [this, peer](time_point_us now) {
    take(membership_->link_up(peer.who.name, peer.who.incarnation, peer.address, now));
  });
}

void node::on_down(const link::peer_view& peer, const std::string& reason,
                   std::vector<envelope_ptr> undelivered) {
  const std::string& name = peer.who.name;
  if (peer.who.role == link::peer_role::client) {
    notice(part::gateway,
           [this, name](time_point_us now) { take(gateway_->node_lost(name, now)); });
  } else {
    const auto known = peers_.find(name);
    if (known != peers_.end() && known->second.who.incarnation == peer.who.incarnation)
      peers_.erase(known), gone_.insert(name);
    notice(part::node, [this, peer, reason](time_point_us now) {
      take(membership_->link_down(peer.who.name, peer.who.incarnation, reason, now));
    });
  }
  for (const envelope_ptr& message : undelivered)
    bounce(*message, proto::Error::UNAVAILABLE, "node " + name + " is down: " + reason);
}

}  // namespace troupe::sim
