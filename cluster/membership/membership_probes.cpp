// Indirect probes: whether somebody else hears a node that this one does not.
//
// A round begins with the suspicion, so it adds no delay: two others that are up are asked, and
// each answers as soon as it hears anything of that node, or when the round is over. They need not
// ask it anything, since it beats to them anyway. Reached: the next round begins two beats later.
#include <algorithm>

#include "cluster/membership/membership_core.hpp"

namespace troupe::cluster {
namespace {

constexpr std::size_t asked_max = 2;
constexpr time_point_us wait_max{5'000'000};  // that an asker may ask for

}  // namespace

// The next in the order of names, so that not the same two are asked about everybody.
std::vector<std::string> membership_core::other_ears(const std::string& but) const {
  std::vector<std::string> out;
  auto at = peers_.upper_bound(but);
  for (std::size_t i = 0; i < peers_.size() && out.size() < asked_max; ++i, ++at) {
    if (at == peers_.end()) at = peers_.begin();
    if (at->first != but && at->second.state == member_state::up) out.push_back(at->first);
  }
  return out;
}

void membership_core::probe(const member& m, peer_state& peer, time_point_us now,
                            membership_effects& out) {
  probing& p = peer.probe;
  if (p.open && (now >= p.ends || p.asked.empty())) p.open = false;
  const bool again = p.round == 0 || (!p.reached_by.empty() && now >= p.next);
  if (p.open || !again) return;
  const std::vector<std::string> ears = other_ears(m.name);
  p.reached_by.clear();
  p.round = 0;
  if (ears.empty()) return;
  p.round = ++rounds_;
  p.open = true;
  p.asked = {ears.begin(), ears.end()};
  p.asked_count = ears.size();
  const time_point_us wait = 5 * interval_ / 2;
  p.ends = now + wait;
  for (const std::string& ear : ears) {
    auto message = to_node(ear);
    proto::ProbePeer& question = *message->mutable_probe_peer();
    question.set_node(m.name);
    question.set_incarnation(m.incarnation);
    question.set_round(p.round);
    question.set_wait_ms(static_cast<std::uint32_t>(wait.count() / 1000));
    out.messages.push_back(std::move(message));
  }
}

void membership_core::take_answer(const std::string& from, const proto::ProbeAnswer& answer,
                                  time_point_us now) {
  const auto found = peers_.find(answer.node());
  if (found == peers_.end()) return;
  probing& p = found->second.probe;
  if (!p.open || p.round != answer.round() || p.asked.erase(from) == 0) return;
  if (!answer.heard()) return;
  p.open = false;
  p.reached_by = from;
  p.next = now + 2 * interval_;
}

void membership_core::take_question(const std::string& asker, const proto::ProbePeer& question,
                                    time_point_us now, membership_effects& out) {
  const auto found = peers_.find(question.node());
  const bool may_hear = found != peers_.end() && linked(found->second.state) &&
                        members_.at(question.node()).incarnation == question.incarnation();
  std::erase_if(duties_, [&](const duty& one) {
    return one.asker == asker && one.question.node() == question.node();
  });
  if (!may_hear || duties_.size() >= duties_max) return answer(asker, question, false, out);
  const time_point_us wait = std::chrono::milliseconds(question.wait_ms());
  duties_.push_back({asker, question, now, now + std::min(wait, wait_max)});
}

void membership_core::answer(const std::string& asker, const proto::ProbePeer& question, bool heard,
                             membership_effects& out) const {
  auto message = to_node(asker);
  proto::ProbeAnswer& said = *message->mutable_probe_answer();
  said.set_node(question.node());
  said.set_incarnation(question.incarnation());
  said.set_round(question.round());
  said.set_heard(heard);
  out.messages.push_back(std::move(message));
}

void membership_core::answer_those_who_ask_for(const std::string& node, time_point_us came,
                                               membership_effects& out) {
  std::erase_if(duties_, [&](const duty& one) {
    if (one.question.node() != node || came <= one.since) return false;
    answer(one.asker, one.question, members_.at(node).incarnation == one.question.incarnation(),
           out);
    return true;
  });
}

void membership_core::expire_duties(time_point_us now, membership_effects& out) {
  std::erase_if(duties_, [&](const duty& one) {
    if (now < one.until) return false;
    answer(one.asker, one.question, false, out);
    return true;
  });
}

}  // namespace troupe::cluster
