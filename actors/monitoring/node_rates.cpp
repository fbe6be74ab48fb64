#include "actors/monitoring/node_rates.hpp"

#include <algorithm>

namespace troupe {
namespace {

double grown(std::uint64_t before, std::uint64_t after) {
  return after > before ? static_cast<double>(after - before) : 0.0;
}

std::string key_of(const proto::LinkStatus& link) {
  return link.peer() + '\n' + link.address();
}

std::uint64_t ended(const proto::JobCounters& jobs) {
  return jobs.finished() + jobs.failed() + jobs.cancelled();
}

}  // namespace

void node_rates::feed(const proto::NodeStatus& status, time_point_us now) {
  if (last_ && now > last_at_) {
    const double seconds = static_cast<double>((now - last_at_).count()) * 1e-6;
    std::map<std::string, const proto::LinkStatus*> before;
    for (const proto::LinkStatus& link : last_->links()) before[key_of(link)] = &link;
    links_.clear();
    for (const proto::LinkStatus& link : status.links()) {
      const auto known = before.find(key_of(link));
      if (known == before.end()) continue;
      links_[key_of(link)] = {
          grown(known->second->bytes_sent(), link.bytes_sent()) / seconds,
          grown(known->second->bytes_received(), link.bytes_received()) / seconds};
    }
    std::map<std::string, const proto::ActorStatus*> actors;
    for (const proto::ActorStatus& actor : last_->actors()) actors[actor.name()] = &actor;
    actors_.clear();
    for (const proto::ActorStatus& actor : status.actors()) {
      const auto known = actors.find(actor.name());
      if (known == actors.end()) continue;
      const double messages = grown(known->second->messages(), actor.messages());
      actors_[actor.name()] = {messages / seconds,
                               messages > 0 ? actor.busy_share() * seconds * 1e6 / messages : 0};
    }
    const proto::JobCounters &was = last_->jobs(), &is = status.jobs();
    tokens_ = grown(was.answer_tokens_taken(), is.answer_tokens_taken()) / seconds;
    failed_ = grown(was.failed(), is.failed()) / seconds;
    ended_ = grown(ended(was), ended(is)) / seconds;
  }
  last_ = status;
  last_at_ = now;
}

double node_rates::link_bytes_per_second() const {
  double out = 0;
  for (const auto& [key, rate] : links_) out += rate.sent + rate.received;
  return out;
}

void node_rates::write(proto::NodeStatus& to) const {
  for (proto::LinkStatus& link : *to.mutable_links()) {
    const auto known = links_.find(key_of(link));
    if (known == links_.end()) continue;
    link.set_bytes_sent_per_second(known->second.sent);
    link.set_bytes_received_per_second(known->second.received);
  }
  for (proto::ActorStatus& actor : *to.mutable_actors()) {
    const auto known = actors_.find(actor.name());
    if (known == actors_.end()) continue;
    actor.set_messages_per_second(known->second.messages);
    actor.set_handling_us(known->second.handling_us);
  }
}

std::vector<series_value> node_rates::series(const proto::NodeStatus& status) const {
  const proto::JobCounters& jobs = status.jobs();
  const proto::MachineStatus& machine = status.machine();
  double sent = 0, received = 0;
  for (const auto& [key, rate] : links_) {
    sent += rate.sent;
    received += rate.received;
  }
  std::uint64_t waiting = 0, hits = 0, misses = 0;
  for (const proto::ActorStatus& actor : status.actors()) waiting += actor.mailbox_depth();
  for (const auto& tier : status.cache().tiers()) {
    hits += tier.hits();
    misses += tier.misses();
  }
  const auto number = [](std::uint64_t value) { return static_cast<double>(value); };
  const double memory = number(std::max<std::uint64_t>(status.memory_bytes(), 1));
  std::vector<series_value> out = {
      {"tokens_per_second", "tokens/s", tokens_},
      {"jobs_running", "jobs", number(jobs.running())},
      {"jobs_ended_per_second", "jobs/s", ended_},
      {"jobs_failed_per_second", "jobs/s", failed_},
      {"first_token_p50_seconds", "s", jobs.first_token_seconds().p50()},
      {"first_token_p95_seconds", "s", jobs.first_token_seconds().p95()},
      {"first_token_p99_seconds", "s", jobs.first_token_seconds().p99()},
      {"inter_token_p50_seconds", "s", jobs.inter_token_seconds().p50()},
      {"inter_token_p99_seconds", "s", jobs.inter_token_seconds().p99()},
      {"total_p99_seconds", "s", jobs.total_seconds().p99()},
      {"cpu_share", "1", machine.cpu_share()},
      {"process_cpu_cores", "cores", machine.process_cpu_cores()},
      {"process_bytes", "bytes", number(machine.process_bytes())},
      {"memory_share", "1", number(status.memory_bytes_used()) / memory},
      {"network_in_per_second", "bytes/s", machine.network_in_per_second()},
      {"network_out_per_second", "bytes/s", machine.network_out_per_second()},
      {"disk_read_per_second", "bytes/s", machine.disk_read_per_second()},
      {"disk_written_per_second", "bytes/s", machine.disk_written_per_second()},
      {"link_sent_per_second", "bytes/s", sent},
      {"link_received_per_second", "bytes/s", received},
      {"mailbox_messages", "messages", number(waiting)},
      {"answer_cache_hit_share", "1",
       hits + misses == 0 ? 0.0 : number(hits) / number(hits + misses)},
  };
  for (const proto::DeviceStatus& device : status.devices()) {
    const std::string name = "device" + std::to_string(device.index());
    out.push_back({name + "_busy_share", "1", device.busy_share()});
    out.push_back({name + "_memory_bytes", "bytes", number(device.memory_bytes_used())});
    out.push_back({name + "_celsius", "C", static_cast<double>(device.celsius())});
  }
  return out;
}

}  // namespace troupe
