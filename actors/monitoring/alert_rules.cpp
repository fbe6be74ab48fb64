#include "actors/monitoring/alert_rules.hpp"

#include <algorithm>
#include <cstdio>

namespace troupe {
namespace {

std::string shown(double value, const char* unit = "") {
  char text[64];
  std::snprintf(text, sizeof text, "%.3g%s", value, unit);
  return text;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", share * 100);
  return text;
}

constexpr std::chrono::minutes restart_told_for{5};

}  // namespace

std::vector<condition> alert_rules::look(const alert_input& in, time_point_us now) {
  std::vector<condition> out;
  look_at_nodes(in, out);
  look_at_actors(in, now, out);
  look_at_jobs(in, now, out);
  look_at_machine(in, out);
  look_at_models(in, out);
  look_at_objectives(in, out);
  if (settings_.learns) look_at_usual(in, now, out);
  return out;
}

void alert_rules::look_at_nodes(const alert_input& in, std::vector<condition>& out) {
  for (const peer_seen& node : in.nodes) {
    bool& was_up = were_up_[node.name];
    was_up |= node.up || in.were_up.contains(node.name);
    if (was_up && !node.up && !node.draining)
      out.push_back({node_down, node.name, proto::SEVERITY_CRITICAL, 0, 1,
                     "node " + node.name + " is down, seen from " + node_ +
                         "; look at its log and its machine, and start it again",
                     node.name, true});
  }
  if (were_up_.size() > 2 * in.nodes.size() + 16)
    std::erase_if(were_up_, [&](const auto& known) {
      return std::none_of(in.nodes.begin(), in.nodes.end(),
                          [&](const peer_seen& node) { return node.name == known.first; });
    });
  std::map<std::string, bool> linked;  // several links to one peer: one that is up is enough
  for (const proto::LinkStatus& link : in.status.links())
    if (!link.peer().empty()) linked[link.peer()] |= link.up();
  for (const peer_seen& node : in.nodes) {
    const auto link = linked.find(node.name);
    if (node.up && link != linked.end() && !link->second)
      out.push_back({"link_down", node.name, proto::SEVERITY_WARNING, 0, 1,
                     "the link from " + node_ + " to " + node.name +
                         " is down; does the network pass its port?",
                     node.name});
  }
}

void alert_rules::look_at_actors(const alert_input& in, time_point_us now,
                                 std::vector<condition>& out) {
  for (const proto::ActorStatus& actor : in.status.actors()) {
    const auto [known, fresh] =
        restarts_.try_emplace(actor.name(), restarted{actor.restarts(), {}});
    if (actor.restarts() > known->second.restarts) known->second = {actor.restarts(), now};
    if (known->second.at != time_point_us{} && now - known->second.at < restart_told_for)
      out.push_back({"actor_restarted", actor.name(), proto::SEVERITY_WARNING,
                     static_cast<double>(actor.restarts()), 0,
                     "actor " + actor.name() + " at " + node_ +
                         " ended and was started again; its reason is in the log "
                         "(troupe logs --node " +
                         node_ + " --level error)",
                     node_, true});
    if (!actor.alive())
      out.push_back({"actor_down", actor.name(), proto::SEVERITY_CRITICAL, 0, 1,
                     "actor " + actor.name() + " at " + node_ + " is not running", node_});
  }
}

void alert_rules::look_at_jobs(const alert_input& in, time_point_us now,
                               std::vector<condition>& out) {
  const proto::JobCounters& jobs = in.status.jobs();
  jobs_.push_back({now, jobs.finished() + jobs.failed() + jobs.cancelled(), jobs.failed()});
  while (jobs_.size() > 2 && (now - jobs_[1].at >= settings_.window || jobs_.size() > 4096))
    jobs_.pop_front();
  const std::uint64_t ended =
      jobs_.back().ended - std::min(jobs_.back().ended, jobs_.front().ended);
  const std::uint64_t failed =
      jobs_.back().failed - std::min(jobs_.back().failed, jobs_.front().failed);
  if (settings_.error_rate_max > 0 && ended >= settings_.jobs_min) {
    const double rate = static_cast<double>(failed) / static_cast<double>(ended);
    if (rate > settings_.error_rate_max)
      out.push_back(
          {"error_rate_high", node_,
           rate > 5 * settings_.error_rate_max ? proto::SEVERITY_CRITICAL : proto::SEVERITY_WARNING,
           rate, settings_.error_rate_max,
           percent(rate) + " of " + std::to_string(ended) + " jobs at gateway " + node_ +
               " failed, more than " + percent(settings_.error_rate_max) +
               "; their reasons are in troupe logs --node " + node_});
  }
  const double p99 = jobs.first_token_seconds().p99();
  const double limit = static_cast<double>(settings_.first_token_max.count()) / 1000;
  if (limit > 0 && jobs.first_token_seconds().count() >= settings_.jobs_min && p99 > limit)
    out.push_back({"latency_high", node_,
                   p99 > 2 * limit ? proto::SEVERITY_CRITICAL : proto::SEVERITY_WARNING, p99, limit,
                   "the first token of one job in a hundred takes longer than " + shown(p99, " s") +
                       " at gateway " + node_ + ", more than " + shown(limit, " s") +
                       "; look where jobs wait (troupe stats --job)"});
  const bool slow = settings_.tokens_per_second_min > 0 && jobs.running() > 0 &&
                    in.tokens_per_second < settings_.tokens_per_second_min;
  if (slow)
    out.push_back({"throughput_low", node_, proto::SEVERITY_WARNING, in.tokens_per_second,
                   settings_.tokens_per_second_min,
                   std::to_string(jobs.running()) + " jobs get " +
                       shown(in.tokens_per_second, " tokens/s") + " at gateway " + node_ +
                       ", fewer than " + shown(settings_.tokens_per_second_min) +
                       "; is a worker busy with something else, or lost?"});
}

// What is loaded elsewhere than was meant, and what waits for another node.
void alert_rules::look_at_models(const alert_input& in, std::vector<condition>& out) const {
  for (const proto::ModelDescription& model : in.status.models()) {
    if (model.load_refusal() == proto::WAITS_FOR_NODE)
      out.push_back({"model_waits", model.name(), proto::SEVERITY_WARNING, 0, 1,
                     "model " + model.name() + " at " + node_ +
                         " waits for a node that computes a "
                         "part of it: " +
                         model.failure(),
                     node_});
    const bool elsewhere = settings_.expects_gpu && model.state() == proto::READY &&
                           model.stages().empty() &&
                           model.engine().find("cuda") == std::string::npos;
    if (elsewhere)
      out.push_back({"gpu_not_used", model.name(), proto::SEVERITY_WARNING, 0, 1,
                     "model " + model.name() + " at " + node_ +
                         " is computed by the processor, where inference.engine wants a GPU; "
                         "gpu_refused in the log says why (troupe logs --node " +
                         node_ + " --level warn)",
                     node_});
  }
}

void alert_rules::look_at_machine(const alert_input& in, std::vector<condition>& out) const {
  const proto::NodeStatus& status = in.status;
  if (settings_.memory_share_max > 0 && status.memory_bytes() > 0) {
    const double share = static_cast<double>(status.memory_bytes_used()) /
                         static_cast<double>(status.memory_bytes());
    if (share > settings_.memory_share_max)
      out.push_back(
          {"memory_high", node_, share > 0.98 ? proto::SEVERITY_CRITICAL : proto::SEVERITY_WARNING,
           share, settings_.memory_share_max,
           percent(share) + " of the memory of " + node_ + " is in use, more than " +
               percent(settings_.memory_share_max) + "; unload a model, or lower models.memory_max",
           node_});
  }
  if (settings_.disk_bytes_min > 0 && status.machine().disk_bytes() > 0 &&
      status.disk_bytes_free() < settings_.disk_bytes_min)
    out.push_back({"disk_low", node_, proto::SEVERITY_WARNING,
                   static_cast<double>(status.disk_bytes_free()),
                   static_cast<double>(settings_.disk_bytes_min),
                   std::to_string(status.disk_bytes_free() >> 20) + " MiB are free where " + node_ +
                       " keeps its state; a full disk stops its journal",
                   node_});
}

void alert_rules::look_at_objectives(const alert_input& in, std::vector<condition>& out) const {
  for (const proto::Objective& one : in.objectives)
    if (one.jobs() >= settings_.jobs_min && one.budget_left() <= 0)
      out.push_back({"objective_missed", one.model(), proto::SEVERITY_WARNING,
                     static_cast<double>(one.jobs_within()) / static_cast<double>(one.jobs()),
                     one.share(),
                     std::to_string(one.jobs() - one.jobs_within()) + " of " +
                         std::to_string(one.jobs()) + " jobs of " + one.model() +
                         " had no token within " + std::to_string(one.target_ms()) +
                         " ms: the error budget of " + percent(1 - one.share()) + " is used up"});
}

// Means of minutes: a two seconds' value is too restless to learn from.
void alert_rules::look_at_usual(const alert_input& in, time_point_us now,
                                std::vector<condition>& out) {
  const proto::JobCounters& jobs = in.status.jobs();
  const auto feed = [&](const char* name, const char* what, double value, bool known) {
    learned& of = usual_[name];
    const std::int64_t minute = now / std::chrono::minutes(1);
    if (of.minute >= 0 && minute != of.minute && of.count > 0) {
      of.said = of.known.feed(of.sum / of.count, in.hour);
      of.sum = 0;
      of.count = 0;
    }
    if (minute != of.minute && of.minute >= 0 && of.count == 0 && !known) of.said.reset();
    of.minute = minute;
    if (known) {
      of.sum += value;
      ++of.count;
    }
    if (of.said && of.said->unusual())
      out.push_back({name, node_, proto::SEVERITY_INFORMATION, of.said->score,
                     seasonal_baseline::unusual_from,
                     std::string(what) + " at " + node_ + " is far from " + shown(of.said->usual) +
                         ", usual at this time of day (" + shown(of.said->score) + " deviations)"});
  };
  const auto& first = jobs.first_token_seconds();
  feed("latency_unusual", "the median time to a first token", first.p50(), first.count() > 0);
  feed("throughput_unusual", "the tokens per second", in.tokens_per_second, jobs.running() > 0);
}

}  // namespace troupe
