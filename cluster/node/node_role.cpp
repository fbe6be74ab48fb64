#include "cluster/node/node_role.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <utility>

#include "actors/monitoring/monitoring_settings.hpp"
#include "cluster/gateway/gateway_role.hpp"
#include "cluster/link/link_faults.hpp"

namespace troupe::cluster {
namespace {

constexpr std::chrono::milliseconds drain_wait_max{86'400'000};

class node_role : public role {
 public:
  node_role(const node_role_settings& settings, node_role_outside outside)
      : settings_(settings),
        outside_(std::move(outside)),
        core_(settings.membership),
        chaos_(settings.chaos) {
    for (const std::string& model : settings_.preload) preloads_[model] = {};
    tell_view();
  }

  void receive(const envelope_ptr& message, time_point_us now) override {
    const std::string& from = message->sender().node();
    if (from != settings_.membership.self) carry_out(core_.heard(from, *message, now));
    switch (message->payload_case()) {
      case proto::Envelope::kEcho:
        return echo(*message);
      case proto::Envelope::kCountFlood:
        return count(message->count_flood(), now);
      case proto::Envelope::kReadFlood:
        return read_flood(*message);
      case proto::Envelope::kDrainNode:
        return drain(*message, now);
      case proto::Envelope::kBeginFault:
      case proto::Envelope::kEndFault:
      case proto::Envelope::kReadChaos:
        return carry_out(chaos_.receive(*message, *core_.view(), now));
      case proto::Envelope::kModelList:
        return models_listed(*message, now);
      case proto::Envelope::kModelLoaded:
      case proto::Envelope::kError:
        return preload_answered(*message);
      default:
        return;
    }
  }

  void notice(const role_event& event, time_point_us now) override {
    if (auto* came = dynamic_cast<const peer_came*>(&event)) {
      carry_out(core_.link_up(came->node, came->incarnation, came->address, now));
    } else if (auto* went = dynamic_cast<const peer_went*>(&event)) {
      carry_out(core_.link_down(went->node, went->incarnation, went->reason, now));
    } else if (dynamic_cast<const node_draining*>(&event)) {
      carry_out(core_.own_draining(true, now));
    } else if (auto* listens = dynamic_cast<const node_listens*>(&event)) {
      core_.own_address(listens->address);
    } else if (auto* restarted = dynamic_cast<const actor_restarted*>(&event)) {
      if (restarted->actor == "model_loader") ask_for_models(now);
      tell_restart(restarted->actor);
    }
  }

  void tick(time_point_us now) override {
    if (outside_.load) {
      core_.own_prefixes(outside_.load->prefixes());
      core_.own_load({outside_.load->running, outside_.load->waiting, settings_.sequences_max,
                      outside_.load->decode_tokens_per_second,
                      outside_.too_warm && outside_.too_warm()});
    }
    if (outside_.heard)
      for (const auto& [node, came] : outside_.heard->take())
        carry_out(core_.frame_from(node, came, now));
    carry_out(core_.tick(now));
    carry_out(chaos_.tick(now));
    tell_monitoring();
    tell_health();
    if (models_pace_.due(now)) ask_for_models(now);
    if (outside_.disk_bytes_free && disk_pace_.due(now)) look_at_disk(now);
    preload(now);
  }

 private:
  struct preload_state {
    bool done = false;
    std::uint64_t asked = 0;  // correlation of the LoadModel under way
    std::optional<time_point_us> tried_at;
  };

  void carry_out(membership_effects effects) {
    for (envelope_ptr& message : effects.messages) outside_.board->post(std::move(message));
    for (const std::string& node : effects.came_up) spdlog::info("node_up peer={}", node);
    for (const std::string& node : effects.suspected) spdlog::info("node_suspect peer={}", node);
    for (const std::string& node : effects.cleared) spdlog::info("node_cleared peer={}", node);
    if (effects.view_changed) tell_view();
    for (const node_loss& loss : effects.lost) {
      if (loss.cause == loss_cause::left)
        spdlog::info("node_left peer={} reason=\"{}\"", loss.node, loss.reason);
      else
        spdlog::warn("node_lost peer={} reason=\"{}\"", loss.node, loss.reason);
      for (const std::string_view actor : told_of_losses)
        outside_.board->notice(std::string(actor),
                               std::make_shared<troupe::node_lost>(loss.node, loss.died()));
    }
    for (const std::string& address : effects.dial) {
      const status dialled = outside_.dial ? outside_.dial(address) : status();
      if (dialled)
        spdlog::info("peer_learnt address={}", address);
      else
        spdlog::warn("peer_not_dialled address={} reason=\"{}\"", address,
                     dialled.failure().text());
    }
    for (const std::string& address : effects.hang_up)
      if (outside_.hang_up) outside_.hang_up(address);
  }

  // A node that is late itself says so: its verdicts on others take longer.
  void tell_health() {
    const int score = core_.health_score();
    if ((score == 0) == (health_told_ == 0)) return;
    spdlog::info("node_health late_score={}", score);
    health_told_ = score;
  }

  void ask_for_models(time_point_us now) {
    models_pace_.looked(now);
    proto::Envelope message = to_own("model_loader");
    message.set_correlation(++correlation_);
    message.mutable_list_models();
    post(std::move(message));
  }

  void look_at_disk(time_point_us now) {
    disk_pace_.looked(now);
    const std::uint64_t free = outside_.disk_bytes_free();
    const bool low = free < settings_.disk_low_bytes;
    disk_pace_.found(!low);
    if (low == disk_low_) return;
    disk_low_ = low;
    low ? spdlog::warn("disk_low bytes_free={}", free)
        : spdlog::info("disk_well bytes_free={}", free);
  }

  void carry_out(chaos_effects effects) {
    for (const chaos_record& record : effects.records) tell(record);
    for (envelope_ptr& message : effects.messages) outside_.board->post(std::move(message));
    if (const auto& fault = effects.granted) {
      assert(outside_.chaos.link);
      link::link_fault wish;
      wish.everyone = fault->kind == proto::BeginFault::PAUSE;
      wish.peers = fault->peers;
      if (fault->kind == proto::BeginFault::SLOW)
        wish.delay_us = static_cast<std::uint64_t>(time_point_us(fault->delay).count());
      wish.from_us = static_cast<std::uint64_t>(fault->begins.count());
      wish.until_us = static_cast<std::uint64_t>(fault->ends.count());
      outside_.chaos.link->begin(std::move(wish));
    }
    if (effects.lifted) outside_.chaos.link->end();
    if (effects.crash) outside_.chaos.crash();
    if (effects.restart) outside_.chaos.restart(settings_.stop_wait);
  }

  void tell(const chaos_record& record) {
    spdlog::warn("chaos_{} fault={} asked_by={} lasts_ms={} reason=\"{}\"", record.what,
                 record.fault, record.asked_by, record.lasts.count(), record.reason);
    if (outside_.chaos.told) outside_.chaos.told(record);
  }

  void tell_view() {
    outside_.board->notice("gateway", std::make_shared<cluster_changed>(core_.view()));
    tell_monitoring();
  }

  // Each change, and again now and then: a monitoring actor that was started afresh knows nobody.
  void tell_monitoring() {
    std::vector<peer_seen> nodes;
    for (const member& m : core_.view()->members)
      nodes.push_back({m.name, m.up, m.suspect, m.draining});
    const auto now = std::chrono::steady_clock::now();
    if (nodes == nodes_told_ && now - nodes_told_at_ < std::chrono::seconds(1)) return;
    nodes_told_ = nodes;
    nodes_told_at_ = now;
    outside_.board->notice("monitoring", std::make_shared<nodes_seen>(std::move(nodes)));
  }

  // The gateways, here and elsewhere, learn that an actor of this node has forgotten what it was
  // asked; those that compute learn it of a gateway, before it is told of anybody to ask again.
  void tell_restart(const std::string& actor) {
    const std::string& self = settings_.membership.self;
    outside_.board->notice("gateway", std::make_shared<actor_forgot>(self, actor));
    for (const member& m : core_.view()->members) {
      if (!m.up) continue;
      if (actor == "gateway") post(restarted(actor, m.name, "inference"));
      if (!m.self) post(restarted(actor, m.name, "gateway"));
    }
    if (actor == "gateway") tell_view();
  }

  proto::Envelope restarted(const std::string& actor, const std::string& node,
                            const char* told) const {
    proto::Envelope message = to_own(actor.c_str());
    *message.mutable_sender() = message.target();
    message.mutable_target()->set_node(node);
    message.mutable_target()->set_actor(told);
    message.mutable_error()->set_code(proto::Error::UNAVAILABLE);
    message.mutable_error()->set_message(actor + " was started again");
    return message;
  }

  void echo(const proto::Envelope& message) {
    proto::Envelope answer = reply_to(message);
    answer.mutable_echoed()->set_payload(message.echo().payload());
    post(std::move(answer));
  }

  void drain(const proto::Envelope& message, time_point_us now) {
    const std::uint32_t asked = message.drain_node().wait_ms();
    const auto wait = asked == 0 ? settings_.stop_wait
                                 : std::min(std::chrono::milliseconds(asked), drain_wait_max);
    proto::Envelope answer = reply_to(message);
    answer.mutable_node_draining()->set_wait_ms(static_cast<std::uint32_t>(wait.count()));
    post(std::move(answer));
    const std::string& asker = message.sender().node();
    spdlog::info("node_drains wait_ms={} asked_by={}", wait.count(), asker);
    if (outside_.audit &&
        (outside_.audited_by_door.empty() || !asker.starts_with(outside_.audited_by_door)))
      outside_.audit->write(
          {"link:" + asker, "drain", "done", {{"wait_ms", std::to_string(wait.count())}}});
    carry_out(core_.own_draining(true, now));
    if (outside_.drain) outside_.drain(wait);
  }

  void count(const proto::CountFlood& flood, time_point_us now) {
    if (flood_.messages() == 0) flood_began_ = now;
    flood_.set_messages(flood_.messages() + 1);
    flood_.set_bytes(flood_.bytes() + flood.payload().size());
    flood_.set_first_to_last_us(static_cast<std::uint64_t>((now - flood_began_).count()));
  }

  void read_flood(const proto::Envelope& message) {
    proto::Envelope answer = reply_to(message);
    *answer.mutable_flood_count() = flood_;
    if (message.read_flood().reset()) flood_.Clear();
    post(std::move(answer));
  }

  void models_listed(const proto::Envelope& message, time_point_us now) {
    if (message.sender().node() != settings_.membership.self) return;
    const auto& models = message.model_list().models();
    membership_effects effects = core_.own_models({models.begin(), models.end()}, now);
    const bool settled = std::all_of(models.begin(), models.end(), [](const auto& model) {
      return model.state() == proto::READY || model.state() == proto::ON_DISK;
    });
    models_pace_.found(settled && !effects.view_changed);
    carry_out(std::move(effects));
    if (outside_.models_known) std::exchange(outside_.models_known, {})();
    preload(now);
  }

  // A model to preload that is not here, and that another node has.
  void preload(time_point_us now) {
    for (auto& [model, state] : preloads_) {
      if (state.done || state.asked) continue;
      if (state.tried_at && now - *state.tried_at < settings_.preload_retry) continue;
      proto::Envelope message = to_own("model_loader");
      for (const member& m : core_.view()->members) {
        if (!m.up) continue;
        for (const auto& known : m.models) {
          if (known.name() != model && known.digest() != model) continue;
          if (m.self && known.state() == proto::READY) state.done = true;
          if (!m.self && known.state() != proto::FETCHING)
            message.mutable_load_model()->add_holders(m.name);
        }
      }
      if (state.done || !settings_.fetch || message.load_model().holders_size() == 0) continue;
      message.mutable_load_model()->set_model(model);
      state.asked = ++correlation_;
      state.tried_at = now;
      message.set_correlation(state.asked);
      post(std::move(message));
    }
  }

  void preload_answered(const proto::Envelope& message) {
    for (auto& [model, state] : preloads_) {
      if (state.asked == 0 || state.asked != message.correlation()) continue;
      state.asked = 0;
      state.done = message.has_model_loaded();
      if (state.done)
        spdlog::info("model_preloaded model={}", model);
      else
        spdlog::warn("preload_failed model={} reason=\"{}\"", model, message.error().message());
    }
  }

  proto::Envelope to_own(const char* actor) const {
    proto::Envelope message;
    message.mutable_sender()->set_node(settings_.membership.self);
    message.mutable_sender()->set_actor("node");
    message.mutable_target()->set_node(settings_.membership.self);
    message.mutable_target()->set_actor(actor);
    return message;
  }

  void post(proto::Envelope message) {
    outside_.board->post(std::make_shared<const proto::Envelope>(std::move(message)));
  }

  node_role_settings settings_;
  node_role_outside outside_;
  membership_core core_;
  chaos_core chaos_;
  std::map<std::string, preload_state> preloads_;
  std::vector<peer_seen> nodes_told_;  // to monitoring
  std::chrono::steady_clock::time_point nodes_told_at_{};
  std::uint64_t correlation_ = 0;
  check_pace models_pace_, disk_pace_;
  bool disk_low_ = false;
  int health_told_ = 0;
  proto::FloodCount flood_;
  time_point_us flood_began_{};
};

}  // namespace

role_handle spawn_node_role(caf::actor_system& system, const node_role_settings& settings,
                            node_role_outside outside, std::shared_ptr<actor_gauge> gauge) {
  role_plan plan;
  plan.name = "node";
  plan.gauge = std::move(gauge);
  plan.tick_every =
      std::chrono::duration_cast<std::chrono::milliseconds>(settings.membership.tick_every());
  plan.make = [settings, outside = std::move(outside)](const notify_self&) {
    return std::make_unique<node_role>(settings, outside);
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe::cluster
