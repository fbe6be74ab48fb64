// The way in, time, and the end of a session.
#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "cluster/link/session_core.hpp"

namespace troupe::link {
namespace {

constexpr time_us resend_wait_max = 4'000'000;
constexpr time_us gap_interval = 20'000;  // a gap is told at most this often
constexpr std::uint32_t frames_unanswered_max = 2;
constexpr time_us never = std::numeric_limits<time_us>::max();

}  // namespace

session_core::session_core(session_settings settings, std::uint64_t peer_session,
                           time_us peer_sent_at, time_us now)
    : settings_(settings),
      peer_session_(peer_session),
      credit_bytes_(settings.peer_window_bytes),
      credit_messages_(settings.peer_window_messages),
      peer_sent_at_(peer_sent_at),
      last_heard_(now),
      last_probe_(now) {}

frame_verdict session_core::receive(const frame_header& header, time_us now) {
  if (ended_) return frame_verdict::stale;
  if (!take_acknowledgement(header, now) || header.heard_at > now) {
    ++counters_.dropped_malformed;
    return frame_verdict::malformed;
  }
  last_heard_ = now;
  lost_at_ = 0;
  peer_sent_at_ = std::max(peer_sent_at_, header.sent_at);
  if (header.flags & flag_answer_wanted) acknowledge_now_ = answer_owed_ = true;
  if (header.flags & flag_answers) counters_.round_trip_us = now - header.heard_at;
  if (!sequenced(header.kind)) return frame_verdict::control;
  if (now - header.heard_at >= settings_.peer_silence - settings_.peer_silence / 16) {
    ++counters_.dropped_stale;
    acknowledge_now_ = answer_wanted_ = true;
    return frame_verdict::stale;
  }
  if (header.sequence < expected_) {
    ++counters_.dropped_duplicate;
    acknowledge_now_ = true;
    return frame_verdict::duplicate;
  }
  if (header.sequence > expected_) {
    ++counters_.dropped_gap;
    if (gap_told_at_ == 0 || now - gap_told_at_ >= gap_interval) {
      gap_told_at_ = now;
      acknowledge_now_ = gap_seen_ = true;
    }
    return frame_verdict::gap;
  }
  return frame_verdict::take;
}

void session_core::taken(const frame_header& header, std::uint32_t messages, time_us now) {
  ++expected_;
  gap_told_at_ = 0;
  counters_.messages_received += messages;
  counters_.bytes_received += header.raw_bytes;
  bytes_unanswered_ += header.raw_bytes;
  if (++frames_unanswered_ >= frames_unanswered_max ||
      bytes_unanswered_ >= settings_.window_bytes / 4)
    acknowledge_now_ = true;
  if (acknowledge_by_ == 0) acknowledge_by_ = now + settings_.acknowledge_within;
}

void session_core::tick(time_us now) {
  if (ended_) return;
  if (now - last_heard_ >= settings_.silence && now > last_heard_)
    return end("silent for " + std::to_string((now - last_heard_) / 1000) + " ms");
  if (lost_at_ != 0 && now >= lost_at_ + settings_.reconnect_within)
    return end("the connection was lost");
  if (now >= last_probe_ + settings_.silence / 6) {
    last_probe_ = now;
    acknowledge_now_ = answer_wanted_ = true;
  }
  if (acknowledge_by_ != 0 && now >= acknowledge_by_) acknowledge_now_ = true;
  const time_us wait = std::min(settings_.resend_after << std::min(resends_, 10u), resend_wait_max);
  if (!on_the_way_.empty() && now >= last_progress_ + wait) {
    if (resends_++ >= settings_.resends_max) return end("does not acknowledge what it is sent");
    if (again_from_ == again_until_) start_again(1, now);
    last_progress_ = now;
  }
}

time_us session_core::next_deadline() const {
  if (ended_) return never;
  time_us next = std::min(last_heard_ + settings_.silence, last_probe_ + settings_.silence / 6);
  if (lost_at_ != 0) next = std::min(next, lost_at_ + settings_.reconnect_within);
  if (acknowledge_by_ != 0) next = std::min(next, acknowledge_by_);
  if (retry_at_ != 0) next = std::min(next, retry_at_);
  if (!on_the_way_.empty())
    next =
        std::min(next, last_progress_ + std::min(settings_.resend_after << std::min(resends_, 10u),
                                                 resend_wait_max));
  return next;
}

void session_core::connection_lost(time_us now) {
  if (lost_at_ == 0) lost_at_ = now;
}

void session_core::connection_back(time_us now) {
  retry_at_ = 0;
  acknowledge_now_ = answer_wanted_ = true;
  start_again(on_the_way_.size(), now);
}

void session_core::end(std::string reason) {
  if (ended_) return;
  ended_ = true;
  reason_ = std::move(reason);
}

std::vector<envelope_ptr> session_core::take_undelivered(std::size_t most) {
  assert(ended_);
  std::vector<numbered_envelope> all;
  small_.list(all);
  for (const auto& bulk : bulk_) {
    const std::span<const std::uint8_t> packed(bulk->envelope.packed);
    all.push_back({bulk->number, packed.empty() ? packed : packed.subspan(length_prefix_bytes),
                   bulk->envelope.large});
  }
  std::vector<envelope_ptr> out = oldest_of(std::move(all), most);
  small_.clear();
  bulk_.clear();
  on_the_way_.clear();
  held_flows_.clear();
  released_bytes_ += std::exchange(kept_bytes_, 0);
  return out;
}

}  // namespace troupe::link
