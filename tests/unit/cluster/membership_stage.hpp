// A membership core on a stage: the test speaks for its peers, and time is a number.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cluster/membership/membership_core.hpp"

namespace troupe::cluster {

inline time_point_us at(int ms) {
  return std::chrono::milliseconds(ms);
}

inline membership_settings settings_of(const std::string& self = "home") {
  membership_settings settings;
  settings.self = self;
  settings.incarnation = 5;
  return settings;
}

// A core, and peers that answer its beats as long as they are told to.
struct membership_stage {
  membership_core core;
  time_point_us now{};
  std::map<std::string, std::uint64_t> sequences, echoes;
  std::vector<envelope_ptr> sent;
  std::vector<node_loss> lost;
  std::vector<std::string> came_up, suspected, cleared, dialled, hung_up;

  explicit membership_stage(membership_settings settings = settings_of())
      : core(std::move(settings)) {}

  void take(membership_effects effects) {
    const auto add = [](auto& to, auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    for (const envelope_ptr& message : effects.messages)
      if (message->has_heartbeat())
        echoes[message->target().node()] = message->heartbeat().sequence();
    add(sent, effects.messages);
    add(lost, effects.lost);
    add(came_up, effects.came_up);
    add(suspected, effects.suspected);
    add(cleared, effects.cleared);
    add(dialled, effects.dial);
    add(hung_up, effects.hang_up);
  }
  void link_up(const std::string& node, std::uint64_t incarnation = 1) {
    take(core.link_up(node, incarnation, "tcp://" + node, now));
  }
  void link_down(const std::string& node, std::uint64_t incarnation = 1) {
    take(core.link_down(node, incarnation, "connection closed", now));
  }
  proto::Envelope beat_of(const std::string& node, std::uint64_t incarnation = 1) {
    proto::Envelope message;
    proto::Heartbeat& beat = *message.mutable_heartbeat();
    beat.set_incarnation(incarnation);
    beat.set_sequence(++sequences[node]);
    beat.set_echo_sequence(echoes[node]);
    beat.set_view_version(1);
    return message;
  }
  void hear(const std::string& node, const proto::Envelope& message) {
    take(core.heard(node, message, now));
  }
  // Lets time pass, with ticks; those in `alive` beat every 250 ms.
  void pass(int ms, const std::vector<std::string>& alive = {}) {
    const time_point_us until = now + at(ms);
    while (now < until) {
      now += at(10);
      if (now.count() % 250'000 == 0)
        for (const std::string& node : alive) hear(node, beat_of(node));
      if (now.count() % 60'000 == 0) take(core.tick(now));
    }
  }
  const member& see(const std::string& node) const {
    const member* found = core.view()->find(node);
    REQUIRE(found);
    return *found;
  }
  template <class Has>
  std::vector<envelope_ptr> sent_that(Has&& has) const {
    std::vector<envelope_ptr> out;
    for (const envelope_ptr& message : sent)
      if (has(*message)) out.push_back(message);
    return out;
  }
};

}  // namespace troupe::cluster
