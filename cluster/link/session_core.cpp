#include "cluster/link/session_core.hpp"

#include <algorithm>
#include <cassert>
#include <functional>
#include <limits>
#include <utility>

namespace troupe::link {
namespace {

constexpr time_us resend_wait_max = 4'000'000;
constexpr time_us gap_interval = 20'000;  // a gap is told, and served, at most this often
constexpr std::uint32_t frames_unanswered_max = 2;
constexpr time_us never = std::numeric_limits<time_us>::max();

}  // namespace

std::uint64_t flow_of(const proto::Envelope& envelope) {
  const std::hash<std::string_view> hash;
  return hash(envelope.sender().actor()) * 0x9e3779b97f4a7c15ull ^ hash(envelope.target().actor());
}

void write_body(const frame_plan& plan, std::uint8_t* out) {
  if (plan.rope) {
    encode_chunk_prefix(plan.chunk, out);
    plan.rope->copy(plan.chunk.offset,
                    {out + chunk_prefix_bytes, plan.raw_bytes - chunk_prefix_bytes});
    return;
  }
  for (std::uint32_t i = 0; i < plan.count; ++i) out = write_envelope(*(plan.first + i), out);
}

session_core::session_core(session_settings settings, std::uint64_t peer_session,
                           time_us peer_sent_at, time_us now)
    : settings_(settings),
      peer_session_(peer_session),
      credit_bytes_(settings.peer_window_bytes),
      credit_messages_(settings.peer_window_messages),
      peer_sent_at_(peer_sent_at),
      last_heard_(now),
      last_probe_(now) {}

void session_core::accept(envelope_ptr message, std::uint64_t bytes) {
  assert(!ended_);
  outgoing_envelope envelope{std::move(message), bytes, next_number_++};
  kept_bytes_ += bytes;
  const bool large = bytes_in_body(bytes) > settings_.chunk_bytes;
  std::uint64_t flow = 0;
  if (large || !held_flows_.empty()) flow = flow_of(*envelope.message);
  if (large || (!held_flows_.empty() && held_flows_.contains(flow))) {
    auto bulk = std::make_unique<bulk_envelope>();
    if (large) bulk->rope = std::make_unique<envelope_rope>(envelope.message);
    bulk->envelope = std::move(envelope);
    bulk->flow = flow;
    ++held_flows_[flow];
    bulk_.push_back(std::move(bulk));
    admit_waiting();
    return;
  }
  add_small(std::move(envelope));
}

void session_core::add_small(outgoing_envelope envelope) {
  small_waiting_bytes_ += bytes_in_body(envelope.bytes);
  ++small_added_;
  small_.push_back(std::move(envelope));
}

// Small envelopes at the head of the bulk lane have nothing to wait for any more.
void session_core::admit_waiting() {
  while (bulk_sent_ < bulk_.size() && !bulk_[bulk_sent_]->rope) {
    auto at = bulk_.begin() + static_cast<std::ptrdiff_t>(bulk_sent_);
    if (auto held = held_flows_.find((*at)->flow); --held->second == 0) held_flows_.erase(held);
    add_small(std::move((*at)->envelope));
    bulk_.erase(at);
  }
}

bool session_core::credit_for(std::uint64_t raw_bytes, std::uint32_t messages) const {
  if (credit_bytes_ == 0) return false;
  if (on_the_way_.empty() && messages <= 1)
    return true;  // else a frame larger than the peer's window would never leave
  return bytes_on_the_way_ + raw_bytes <= credit_bytes_ &&
         messages_on_the_way_ + messages <= credit_messages_;
}

std::uint64_t session_core::worth_taking_bytes() const {
  if (on_the_way_.empty()) return 0;  // no acknowledgement will come that could bring them along
  if (retry_at_ != 0 || credit_bytes_ == 0 || !credit_for(settings_.coalesced_bytes_max, 1))
    return std::numeric_limits<std::uint64_t>::max();
  if (partial_on_the_way_ < settings_.partial_frames_max) return 0;
  return settings_.coalesced_bytes_max -
         std::min<std::uint64_t>(settings_.coalesced_bytes_max, small_waiting_bytes_);
}

frame_header session_core::header_now(frame_kind kind, time_us now) {
  frame_header header;
  header.kind = kind;
  header.session = peer_session_;
  header.acknowledged = expected_ - 1;
  header.credit_bytes = settings_.window_bytes;
  header.credit_messages = settings_.window_messages;
  header.sent_at = now;
  header.heard_at = peer_sent_at_;
  if (gap_seen_) header.flags |= flag_gap;
  if (answer_owed_) header.flags |= flag_answers;
  if (answer_wanted_) header.flags |= flag_answer_wanted;
  gap_seen_ = answer_owed_ = answer_wanted_ = acknowledge_now_ = false;
  frames_unanswered_ = 0;
  bytes_unanswered_ = 0;
  acknowledge_by_ = 0;
  return header;
}

frame_plan session_core::plan_of(const sent_frame& frame, std::size_t first_small, time_us now) {
  frame_plan plan;
  plan.header = header_now(frame.kind, now);
  plan.header.sequence = frame.sequence;
  plan.raw_bytes = frame.raw_bytes;
  if (frame.kind == frame_kind::envelopes) {
    plan.first = small_.cbegin() + static_cast<std::ptrdiff_t>(first_small);
    plan.count = frame.count;
  } else {
    plan.rope = frame.bulk->rope.get();
    plan.chunk = frame.chunk;
  }
  return plan;
}

void session_core::record(const sent_frame& frame) {
  bytes_on_the_way_ += frame.raw_bytes;
  messages_on_the_way_ += frame.count;
  partial_on_the_way_ += frame.partial;
  counters_.messages_sent += frame.count;
  counters_.bytes_sent += frame.raw_bytes;
  on_the_way_.push_back(frame);
}

std::optional<frame_plan> session_core::plan_again(time_us now) {
  const sent_frame& frame = on_the_way_[again_from_];
  frame_plan plan = plan_of(frame, again_small_, now);
  ++again_from_;
  again_small_ += frame.kind == frame_kind::envelopes ? frame.count : 0;
  ++counters_.resent;
  return plan;
}

std::optional<frame_plan> session_core::plan_small(time_us now) {
  if (small_sent_ == small_.size()) return std::nullopt;
  const bool full = small_waiting_bytes_ >= settings_.coalesced_bytes_max;
  if (!full && partial_on_the_way_ >= settings_.partial_frames_max) return std::nullopt;
  sent_frame frame{next_sequence_, frame_kind::envelopes, !full, 0, 0, nullptr, {}};
  for (std::size_t i = small_sent_; i < small_.size(); ++i) {
    const std::uint64_t more = bytes_in_body(small_[i].bytes);
    if (frame.count > 0 && frame.raw_bytes + more > settings_.coalesced_bytes_max) break;
    if (!credit_for(frame.raw_bytes + more, frame.count + 1)) break;
    frame.raw_bytes += static_cast<std::uint32_t>(more);
    ++frame.count;
  }
  if (frame.count == 0) return std::nullopt;
  if (on_the_way_.empty()) last_progress_ = now;
  ++next_sequence_;
  const std::size_t first = small_sent_;
  small_sent_ += frame.count;
  small_gone_ += frame.count;
  small_waiting_bytes_ -= frame.raw_bytes;
  record(frame);
  return plan_of(frame, first, now);
}

std::optional<frame_plan> session_core::plan_chunk(time_us now) {
  if (bulk_sent_ == bulk_.size()) return std::nullopt;
  bulk_envelope& bulk = *bulk_[bulk_sent_];
  const std::uint64_t rest = bulk.rope->bytes() - bulk.sent;
  const std::uint64_t piece = std::min<std::uint64_t>(rest, settings_.chunk_bytes);
  const bool last = piece == rest;
  if (bulk.sent == 0) bulk.small_before = small_added_;
  if (last && small_gone_ < bulk.small_before) return std::nullopt;  // else it would overtake them
  if (!credit_for(chunk_prefix_bytes + piece, last)) return std::nullopt;
  if (on_the_way_.empty()) last_progress_ = now;
  const sent_frame frame{next_sequence_++,
                         frame_kind::chunk,
                         false,
                         last ? 1u : 0u,
                         static_cast<std::uint32_t>(chunk_prefix_bytes + piece),
                         &bulk,
                         {bulk.rope->bytes(), bulk.sent}};
  bulk.sent += piece;
  record(frame);
  if (last) {
    ++bulk_sent_;
    if (auto held = held_flows_.find(bulk.flow); --held->second == 0) held_flows_.erase(held);
    admit_waiting();
  }
  return plan_of(frame, 0, now);
}

std::optional<frame_plan> session_core::next_frame(time_us now) {
  if (ended_) return std::nullopt;
  if (retry_at_ > now) return std::nullopt;
  retry_at_ = 0;
  if (again_from_ < again_until_) return plan_again(now);
  std::optional<frame_plan> plan;
  if (chunk_turn_) plan = plan_chunk(now);
  if (!plan) plan = plan_small(now);
  if (!plan) plan = plan_chunk(now);
  if (plan) {
    chunk_turn_ = plan->header.kind == frame_kind::envelopes;
    return plan;
  }
  if (!acknowledge_now_) return std::nullopt;
  plan.emplace();
  plan->header = header_now(frame_kind::acknowledgement, now);
  return plan;
}

void session_core::refused(const frame_header& header, time_us retry_at) {
  retry_at_ = retry_at;
  acknowledge_now_ = true;
  if (header.flags & flag_gap) gap_seen_ = true;
  if (header.flags & flag_answers) answer_owed_ = true;
  if (header.flags & flag_answer_wanted) answer_wanted_ = true;
  if (!sequenced(header.kind)) return;
  std::size_t index = 0, first_small = 0;
  while (index < on_the_way_.size() && on_the_way_[index].sequence < header.sequence) {
    if (on_the_way_[index].kind == frame_kind::envelopes) first_small += on_the_way_[index].count;
    ++index;
  }
  again_from_ = index;
  again_small_ = first_small;
  again_until_ = std::max(again_until_, index + 1);
}

void session_core::start_again(std::size_t frames, time_us now) {
  again_from_ = again_small_ = 0;
  again_until_ = std::min(frames, on_the_way_.size());
  last_progress_ = now;
}

void session_core::release(const sent_frame& frame) {
  bytes_on_the_way_ -= frame.raw_bytes;
  messages_on_the_way_ -= frame.count;
  partial_on_the_way_ -= frame.partial;
  std::uint64_t freed = 0;
  if (frame.kind == frame_kind::envelopes) {
    for (std::uint32_t i = 0; i < frame.count; ++i) {
      freed += small_.front().bytes;
      retired_.push_back(std::move(small_.front().message));
      small_.pop_front();
    }
    small_sent_ -= frame.count;
  } else if (frame.count == 1) {  // the last chunk
    freed = frame.bulk->envelope.bytes;
    retired_.push_back(std::move(frame.bulk->envelope.message));
    bulk_.pop_front();
    --bulk_sent_;
  }
  kept_bytes_ -= freed;
  released_bytes_ += freed;
}

bool session_core::take_acknowledgement(const frame_header& header, time_us now) {
  if (header.acknowledged >= next_sequence_) return false;
  if (header.acknowledged < acknowledged_) return true;  // older than what we know
  credit_bytes_ = header.credit_bytes;
  credit_messages_ = header.credit_messages;
  if (header.acknowledged > acknowledged_) {
    acknowledged_ = header.acknowledged;
    last_progress_ = now;
    const bool had_to_repeat = std::exchange(resends_, 0) > 0;
    while (!on_the_way_.empty() && on_the_way_.front().sequence <= acknowledged_) {
      const sent_frame frame = on_the_way_.front();
      on_the_way_.pop_front();
      release(frame);
      if (again_from_ > 0) {
        --again_from_;
        again_small_ -= frame.kind == frame_kind::envelopes ? frame.count : 0;
      }
      if (again_until_ > 0) --again_until_;
    }
    if (had_to_repeat) start_again(on_the_way_.size(), now);  // what followed was lost too, likely
  }
  const bool served = gap_served_ == acknowledged_ + 1 && now - gap_served_at_ < gap_interval;
  if ((header.flags & flag_gap) && !on_the_way_.empty() && !served) {
    gap_served_ = acknowledged_ + 1;
    gap_served_at_ = now;
    start_again(on_the_way_.size(), now);
  }
  return true;
}

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
  std::vector<outgoing_envelope> all;
  for (auto& envelope : small_) all.push_back(std::move(envelope));
  for (auto& bulk : bulk_) all.push_back(std::move(bulk->envelope));
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  std::vector<envelope_ptr> out;
  for (std::size_t i = 0; i < all.size() && i < most; ++i) out.push_back(std::move(all[i].message));
  small_.clear();
  bulk_.clear();
  on_the_way_.clear();
  held_flows_.clear();
  released_bytes_ += std::exchange(kept_bytes_, 0);
  return out;
}

}  // namespace troupe::link
