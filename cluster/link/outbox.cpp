#include "cluster/link/outbox.hpp"

#include <algorithm>

namespace troupe::link {
namespace {

constexpr std::size_t run_bytes_max = 64 << 10;
constexpr std::size_t near_bytes_max = 2048;  // packed on the stack, then copied under the lock
constexpr std::size_t emptied_max = 16;

}  // namespace

// Under the lock.
status outbox::admit(const std::string& peer, std::uint64_t bytes, lane*& to) {
  const auto found = lanes_.find(peer);
  if (found == lanes_.end() || found->second.session == 0)
    return error{error_code::unavailable, "no session with " + peer, ""};
  to = &found->second;
  const bool oversize = bytes > queued_bytes_max_;
  const bool fits = oversize ? to->oversize_bytes == 0
                             : to->queued_bytes + bytes <= queued_bytes_max_ + to->oversize_bytes;
  if (!fits)
    return error{
        error_code::resource_exhausted,
        "the queue to " + peer + " is full: " + std::to_string(to->queued_bytes) + " bytes wait",
        "send again later"};
  if (oversize) to->oversize_bytes = bytes;
  to->queued_bytes += bytes;
  if (to->pending.empty()) waiting_.push_back(to);
  to->pending_bytes += bytes_in_body(bytes);
  return {};
}

// Under the lock.
void outbox::pack(lane& to, std::span<const std::uint8_t> envelope) {
  const bool goes_on = !to.pending.empty() && !to.pending.back().large &&
                       to.pending.back().packed.size() + envelope.size() <= run_bytes_max;
  if (!goes_on) {
    to.pending.emplace_back();
    if (!emptied_.empty()) {
      to.pending.back().packed = std::move(emptied_.back());
      to.pending.back().packed.clear();
      emptied_.pop_back();
    }
  }
  outgoing_run& run = to.pending.back();
  run.packed.insert(run.packed.end(), envelope.begin(), envelope.end());
  ++run.count;
}

status outbox::submit(const envelope_ptr& message, bool& due) {
  if (!message || message->target().node().empty())
    return error{error_code::invalid_argument, "the envelope names no node to go to",
                 "set target.node"};
  const std::uint64_t bytes = message->ByteSizeLong();
  if (bytes > message_bytes_max)
    return error{error_code::invalid_argument,
                 "the envelope has " + std::to_string(bytes) + " bytes; the most is " +
                     std::to_string(message_bytes_max),
                 "send it in several"};
  const std::uint64_t in_body = bytes_in_body(bytes);
  std::uint8_t near[near_bytes_max];
  outgoing_run alone;
  if (in_body <= std::min<std::uint64_t>(near_bytes_max, packed_bytes_max_))
    write_envelope(*message, bytes, near);
  else
    alone = run_of(message, bytes, packed_bytes_max_);
  const std::lock_guard hold(mutex_);
  lane* to = nullptr;
  if (status admitted = admit(message->target().node(), bytes, to); !admitted.ok()) return admitted;
  if (alone.count == 0)
    pack(*to, {near, in_body});
  else
    to->pending.push_back(std::move(alone));
  due = due_ = due_ || to->pending_bytes >= to->due_at_bytes;
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

std::vector<outgoing_run> outbox::close(const std::string& peer) {
  const std::lock_guard hold(mutex_);
  const auto found = lanes_.find(peer);
  if (found == lanes_.end()) return {};
  std::vector<outgoing_run> rest = std::move(found->second.pending);
  std::erase(waiting_, &found->second);
  lanes_.erase(found);
  return rest;
}

void outbox::released(const std::string& peer, std::uint64_t bytes,
                      std::vector<packed_bytes>& emptied) {
  {
    const std::lock_guard hold(mutex_);
    for (packed_bytes& one : emptied)
      if (emptied_.size() < emptied_max && one.capacity() <= 2 * run_bytes_max)
        emptied_.push_back(std::move(one));
    if (const auto found = lanes_.find(peer); found != lanes_.end()) {
      lane& to = found->second;
      to.queued_bytes -= std::min(bytes, to.queued_bytes);
      if (to.queued_bytes < to.oversize_bytes) to.oversize_bytes = 0;
    }
  }
  emptied.clear();
}

void outbox::forget_emptied() {
  std::vector<packed_bytes> old;
  const std::lock_guard hold(mutex_);
  old.swap(emptied_);
}

}  // namespace troupe::link
