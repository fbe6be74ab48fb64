#include "cluster/link/outbox.hpp"

#include <algorithm>

namespace troupe::link {
namespace {

constexpr std::size_t retired_max = 8192;
constexpr int retired_bytes_max = 4096;  // larger ones go at once

}  // namespace

status outbox::submit(envelope_ptr message, bool& due) {
  if (!message || message->target().node().empty())
    return error{error_code::invalid_argument, "the envelope names no node to go to",
                 "set target.node"};
  const std::uint64_t bytes = message->ByteSizeLong();
  if (bytes > message_bytes_max)
    return error{error_code::invalid_argument,
                 "the envelope has " + std::to_string(bytes) + " bytes; the most is " +
                     std::to_string(message_bytes_max),
                 "send it in several"};
  const std::string& peer = message->target().node();
  envelope_ptr old[2];  // destroyed after the lock is free
  const std::lock_guard hold(mutex_);
  const std::size_t count =
      retired_.size() > retired_max / 2 ? 2 : std::min<std::size_t>(1, retired_.size());
  for (std::size_t i = 0; i < count; ++i) {
    old[i] = std::move(retired_.back());
    retired_.pop_back();
  }
  const auto found = lanes_.find(peer);
  if (found == lanes_.end() || found->second.session == 0)
    return error{error_code::unavailable, "no session with " + peer, ""};
  lane& to = found->second;
  const bool oversize = bytes > queued_bytes_max_;
  const bool fits = oversize ? to.oversize_bytes == 0
                             : to.queued_bytes + bytes <= queued_bytes_max_ + to.oversize_bytes;
  if (!fits)
    return error{
        error_code::resource_exhausted,
        "the queue to " + peer + " is full: " + std::to_string(to.queued_bytes) + " bytes wait",
        "send again later"};
  if (oversize) to.oversize_bytes = bytes;
  to.queued_bytes += bytes;
  if (to.pending.empty()) waiting_.push_back(&to);
  to.pending.push_back({std::move(message), bytes, 0});
  to.pending_bytes += bytes_in_body(bytes);
  due = due_ = due_ || to.pending_bytes >= to.due_at_bytes;
  return {};
}

bool outbox::due() const {
  const std::lock_guard hold(mutex_);
  return due_;
}

void outbox::due_at(const std::string& peer, std::uint64_t waiting_bytes) {
  const std::lock_guard hold(mutex_);
  const auto found = lanes_.find(peer);
  if (found == lanes_.end()) return;
  lane& to = found->second;
  to.due_at_bytes = waiting_bytes;
  if (!to.pending.empty() && to.pending_bytes >= waiting_bytes) due_ = true;
}

bool outbox::empty() const {
  const std::lock_guard hold(mutex_);
  return waiting_.empty();
}

void outbox::open(const std::string& peer, std::uint64_t session) {
  const std::lock_guard hold(mutex_);
  lane& to = lanes_[peer];
  to.session = session;
  to.queued_bytes = to.oversize_bytes = 0;
}

std::vector<outgoing_envelope> outbox::close(const std::string& peer) {
  const std::lock_guard hold(mutex_);
  const auto found = lanes_.find(peer);
  if (found == lanes_.end()) return {};
  std::vector<outgoing_envelope> rest = std::move(found->second.pending);
  std::erase(waiting_, &found->second);
  lanes_.erase(found);
  return rest;
}

void outbox::released(const std::string& peer, std::uint64_t bytes,
                      std::vector<envelope_ptr>& retired) {
  {
    const std::lock_guard hold(mutex_);
    for (envelope_ptr& one : retired)
      if (retired_.size() < retired_max && one->GetCachedSize() <= retired_bytes_max)
        retired_.push_back(std::move(one));
    if (const auto found = lanes_.find(peer); found != lanes_.end()) {
      lane& to = found->second;
      to.queued_bytes -= std::min(bytes, to.queued_bytes);
      if (to.queued_bytes < to.oversize_bytes) to.oversize_bytes = 0;
    }
  }
  retired.clear();
}

void outbox::forget_retired() {
  std::vector<envelope_ptr> old;
  const std::lock_guard hold(mutex_);
  old.swap(retired_);
}

}  // namespace troupe::link
