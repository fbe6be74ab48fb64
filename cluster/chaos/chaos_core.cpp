#include "cluster/chaos/chaos_core.hpp"

#include <algorithm>
#include <cctype>

namespace troupe::cluster {
namespace {

using std::chrono::milliseconds;

bool ends_process(proto::BeginFault::Kind kind) {
  return kind == proto::BeginFault::CRASH || kind == proto::BeginFault::RESTART;
}

bool computes(const member& m) {
  return m.load.sequences_max > 0;
}

milliseconds rounded(time_point_us time) {
  return std::chrono::duration_cast<milliseconds>(time);
}

}  // namespace

std::string name_of(proto::BeginFault::Kind kind) {
  std::string out = proto::BeginFault::Kind_Name(kind);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out.empty() ? "fault " + std::to_string(kind) : out;
}

chaos_effects chaos_core::receive(const proto::Envelope& message, const cluster_view& view,
                                  time_point_us now) {
  chaos_effects out;
  if (message.has_begin_fault()) {
    begin(message, view, now, out);
  } else if (message.has_end_fault()) {
    proto::Envelope answer = reply_to(message);
    answer.mutable_fault_ended()->set_ended(running_.has_value());
    out.messages.push_back(std::make_shared<const proto::Envelope>(std::move(answer)));
    end(now, out);
  } else if (message.has_read_chaos()) {
    status(message, view, now, out);
  }
  return out;
}

void chaos_core::begin(const proto::Envelope& message, const cluster_view& view, time_point_us now,
                       chaos_effects& out) {
  const proto::BeginFault& wish = message.begin_fault();
  chaos_record record{
      "begun", name_of(wish.kind()), message.sender().node(), milliseconds(wish.lasts_ms()), {}};
  if (const auto no = check(wish, view, now)) {
    out.messages.push_back(refuse(message, no->code, no->why, no->mend));
    record.what = "refused";
    record.reason = no->why;
    out.records.push_back(std::move(record));
    return;
  }
  granted_fault fault;
  fault.kind = wish.kind();
  fault.asked_by = message.sender().node();
  fault.peers.assign(wish.peers().begin(), wish.peers().end());
  if (wish.kind() == proto::BeginFault::PARTITION && fault.peers.empty())
    for (const member& m : view.members)
      if (!m.self) fault.peers.push_back(m.name);
  fault.delay = milliseconds(wish.delay_ms());
  fault.begins = now + fault_notice;
  fault.ends = fault.begins + (ends_process(fault.kind) ? fault_lasts_max : record.lasts);
  running_ = fault;
  proto::Envelope answer = reply_to(message);
  answer.mutable_fault_begun()->set_lasts_ms(wish.lasts_ms());
  out.messages.push_back(std::make_shared<const proto::Envelope>(std::move(answer)));
  out.records.push_back(std::move(record));
  if (!ends_process(fault.kind)) out.granted = std::move(fault);
}

std::optional<chaos_core::refusal> chaos_core::check(const proto::BeginFault& wish,
                                                     const cluster_view& view,
                                                     time_point_us now) const {
  const std::string me = "node " + settings_.self;
  if (!settings_.enabled)
    return refusal{proto::Error::PERMISSION_DENIED, me + " does not allow chaos",
                   "set chaos.enabled for this node, if it may be broken on purpose"};
  const bool ends = ends_process(wish.kind());
  const bool known = proto::BeginFault::Kind_IsValid(wish.kind()) &&
                     wish.kind() != proto::BeginFault::KIND_UNSPECIFIED;
  if (!known)
    return refusal{proto::Error::UNSUPPORTED, me + " knows no " + name_of(wish.kind()),
                   "are both of the same version?"};
  if (!ends && (wish.lasts_ms() == 0 || milliseconds(wish.lasts_ms()) > fault_lasts_max))
    return refusal{proto::Error::INVALID_ARGUMENT,
                   "a fault of " + std::to_string(wish.lasts_ms()) + " ms",
                   "1 to " + std::to_string(fault_lasts_max.count()) + " ms are allowed"};
  const bool slow = wish.kind() == proto::BeginFault::SLOW;
  if (slow && (wish.delay_ms() == 0 || milliseconds(wish.delay_ms()) > fault_delay_max))
    return refusal{proto::Error::INVALID_ARGUMENT,
                   "a delay of " + std::to_string(wish.delay_ms()) + " ms",
                   "1 to " + std::to_string(fault_delay_max.count()) + " ms are allowed"};
  if (ends && !settings_.supervised)
    return refusal{proto::Error::PERMISSION_DENIED, me + " is not supervised: it would stay down",
                   "set chaos.supervised where something starts it again"};
  if (running_ && now < running_->ends)
    return refusal{proto::Error::ALREADY_EXISTS,
                   me + " has a " + name_of(running_->kind) + " for " +
                       std::to_string(rounded(running_->ends - now).count()) + " ms more",
                   "one fault at a time"};
  if (const auto no = check_peers(wish, view)) return no;
  return slow ? std::nullopt : check_rest(view);
}

std::optional<chaos_core::refusal> chaos_core::check_peers(const proto::BeginFault& wish,
                                                           const cluster_view& view) const {
  if (wish.peers_size() > 0 && wish.kind() != proto::BeginFault::PARTITION)
    return refusal{proto::Error::INVALID_ARGUMENT, "peers of a " + name_of(wish.kind()),
                   "only a partition has some"};
  for (const std::string& peer : wish.peers()) {
    const member* known = view.find(peer);
    if (!known || known->self)
      return refusal{proto::Error::INVALID_ARGUMENT,
                     "node " + settings_.self + " has no peer " + peer, "see troupe status"};
  }
  return std::nullopt;
}

std::optional<chaos_core::refusal> chaos_core::check_rest(const cluster_view& view) const {
  std::size_t out = 1, others_compute = 0;
  bool self_computes = false;
  for (const member& m : view.members) {
    if (m.self) {
      self_computes = computes(m);
      continue;
    }
    const bool serves = m.up && !m.draining;
    out += !serves;
    others_compute += serves && computes(m);
  }
  const std::string me = "node " + settings_.self;
  if (self_computes && others_compute == 0)
    return refusal{proto::Error::PERMISSION_DENIED, me + " is the last one that computes",
                   "wait until another one is up"};
  if (2 * out > view.members.size())
    return refusal{proto::Error::PERMISSION_DENIED,
                   "with " + me + " " + std::to_string(out) + " of " +
                       std::to_string(view.members.size()) + " nodes would be out",
                   "no more than half may be"};
  return std::nullopt;
}

void chaos_core::end(time_point_us now, chaos_effects& out) {
  if (!running_) return;
  const auto lasted = now > running_->begins ? rounded(now - running_->begins) : milliseconds(0);
  out.records.push_back({"ended", name_of(running_->kind), running_->asked_by, lasted, {}});
  out.lifted = !ends_process(running_->kind);
  running_.reset();
}

chaos_effects chaos_core::tick(time_point_us now) {
  chaos_effects out;
  if (!running_) return out;
  if (now >= running_->ends) {
    end(now, out);
  } else if (ends_process(running_->kind) && now >= running_->begins) {
    out.crash = running_->kind == proto::BeginFault::CRASH;
    out.restart = !out.crash;
    running_->begins = running_->ends;  // once
  }
  return out;
}

void chaos_core::status(const proto::Envelope& message, const cluster_view& view, time_point_us now,
                        chaos_effects& out) const {
  proto::Envelope answer = reply_to(message);
  proto::ChaosStatus& told = *answer.mutable_chaos_status();
  told.set_enabled(settings_.enabled);
  told.set_supervised(settings_.supervised);
  const member* self = view.find(settings_.self);
  told.set_computes(self && computes(*self));
  if (running_ && now < running_->ends) {
    told.set_running(running_->kind);
    told.set_left_ms(static_cast<std::uint32_t>(rounded(running_->ends - now).count()));
  }
  out.messages.push_back(std::make_shared<const proto::Envelope>(std::move(answer)));
}

}  // namespace troupe::cluster
