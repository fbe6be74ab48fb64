// The way out of a session: what is accepted, what leaves when, what was acknowledged.
#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "cluster/link/session_core.hpp"

namespace troupe::link {
namespace {

constexpr time_us gap_interval = 20'000;  // a gap is served at most this often

constexpr std::uint64_t envelope_bytes(std::uint64_t packed_bytes, std::uint32_t count) {
  return packed_bytes - std::uint64_t{length_prefix_bytes} * count;
}

}  // namespace

void write_body(const frame_plan& plan, std::uint8_t* out) {
  if (plan.small) plan.small->copy(plan.position, {out, plan.raw_bytes});
  if (!plan.rope) return;
  encode_chunk_prefix(plan.chunk, out);
  plan.rope->copy(plan.chunk.offset,
                  {out + chunk_prefix_bytes, plan.raw_bytes - chunk_prefix_bytes});
}

void session_core::accept(outgoing_run run) {
  assert(!ended_);
  const std::uint64_t number = next_number_;
  next_number_ += run.count;
  kept_bytes_ += run.large ? run.large_bytes : envelope_bytes(run.packed.size(), run.count);
  if (run.large) {
    const std::uint64_t flow = flow_of(*run.large);
    hold(std::move(run), number, flow);
  } else if (held_flows_.empty()) {
    small_.append(std::move(run.packed), number);
  } else {
    accept_beside_held(run.packed, number);
  }
}

void session_core::hold(outgoing_run run, std::uint64_t number, std::uint64_t flow) {
  auto bulk = std::make_unique<bulk_envelope>();
  if (run.large) bulk->rope = std::make_unique<envelope_rope>(run.large);
  bulk->envelope = std::move(run);
  bulk->number = number;
  bulk->flow = flow;
  ++held_flows_[flow];
  bulk_.push_back(std::move(bulk));
  admit_waiting();
}

// Those of a flow that is held wait behind it, each on its own.
void session_core::accept_beside_held(const packed_bytes& run, std::uint64_t number) {
  for (std::span<const std::uint8_t> rest(run); !rest.empty(); ++number) {
    const std::uint32_t length = decode_length(rest.data());
    const auto one = rest.first(bytes_in_body(length));
    rest = rest.subspan(one.size());
    const std::uint64_t flow = flow_of(one.subspan(length_prefix_bytes));
    packed_bytes alone(one.begin(), one.end());
    if (held_flows_.contains(flow))
      hold({std::move(alone), 1, nullptr, 0}, number, flow);
    else
      small_.append(std::move(alone), number);
  }
}

// Small envelopes at the head of the bulk lane have nothing to wait for any more.
void session_core::admit_waiting() {
  while (bulk_sent_ < bulk_.size() && !bulk_[bulk_sent_]->rope) {
    auto at = bulk_.begin() + static_cast<std::ptrdiff_t>(bulk_sent_);
    if (auto held = held_flows_.find((*at)->flow); --held->second == 0) held_flows_.erase(held);
    small_.append(std::move((*at)->envelope.packed), (*at)->number);
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
         std::min<std::uint64_t>(settings_.coalesced_bytes_max, small_.end() - small_sent_);
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

frame_plan session_core::plan_of(const sent_frame& frame, time_us now) {
  frame_plan plan;
  plan.header = header_now(frame.kind, now);
  plan.header.sequence = frame.sequence;
  plan.raw_bytes = frame.raw_bytes;
  if (frame.kind == frame_kind::envelopes) {
    plan.small = &small_;
    plan.position = frame.position;
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
  frame_plan plan = plan_of(frame, now);
  ++again_from_;
  ++counters_.resent;
  return plan;
}

std::optional<frame_plan> session_core::plan_small(time_us now) {
  const std::uint64_t waiting_bytes = small_.end() - small_sent_;
  if (waiting_bytes == 0) return std::nullopt;
  const bool full = waiting_bytes >= settings_.coalesced_bytes_max;
  if (!full && partial_on_the_way_ >= settings_.partial_frames_max) return std::nullopt;
  packed_queue::reach frame =
      small_.measure(small_sent_, std::numeric_limits<std::uint64_t>::max(), 1);
  if (!credit_for(frame.bytes, 1)) return std::nullopt;
  const auto beyond = [](std::uint64_t most, std::uint64_t used) {
    return most - std::min(most, used);
  };
  const std::uint64_t bytes_max = std::min<std::uint64_t>(settings_.coalesced_bytes_max,
                                                          beyond(credit_bytes_, bytes_on_the_way_));
  const std::uint64_t count_max = beyond(credit_messages_, messages_on_the_way_);
  if (const auto more =
          small_.measure(small_sent_, bytes_max, static_cast<std::uint32_t>(count_max));
      more.count > 1)
    frame = more;
  if (on_the_way_.empty()) last_progress_ = now;
  const sent_frame sent{next_sequence_++,
                        frame_kind::envelopes,
                        !full,
                        frame.count,
                        static_cast<std::uint32_t>(frame.bytes),
                        small_sent_,
                        nullptr,
                        {}};
  small_sent_ += frame.bytes;
  record(sent);
  return plan_of(sent, now);
}

std::optional<frame_plan> session_core::plan_chunk(time_us now) {
  if (bulk_sent_ == bulk_.size()) return std::nullopt;
  bulk_envelope& bulk = *bulk_[bulk_sent_];
  const std::uint64_t rest = bulk.rope->bytes() - bulk.sent;
  const std::uint64_t piece = std::min<std::uint64_t>(rest, settings_.chunk_bytes);
  const bool last = piece == rest;
  if (bulk.sent == 0) bulk.small_before = small_.end();
  if (last && small_sent_ < bulk.small_before) return std::nullopt;  // else it would overtake them
  if (!credit_for(chunk_prefix_bytes + piece, last)) return std::nullopt;
  if (on_the_way_.empty()) last_progress_ = now;
  const sent_frame frame{next_sequence_++,
                         frame_kind::chunk,
                         false,
                         last ? 1u : 0u,
                         static_cast<std::uint32_t>(chunk_prefix_bytes + piece),
                         0,
                         &bulk,
                         {bulk.rope->bytes(), bulk.sent}};
  bulk.sent += piece;
  record(frame);
  if (last) {
    ++bulk_sent_;
    if (auto held = held_flows_.find(bulk.flow); --held->second == 0) held_flows_.erase(held);
    admit_waiting();
  }
  return plan_of(frame, now);
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
  std::size_t index = 0;
  while (index < on_the_way_.size() && on_the_way_[index].sequence < header.sequence) ++index;
  again_from_ = index;
  again_until_ = std::max(again_until_, index + 1);
}

void session_core::start_again(std::size_t frames, time_us now) {
  again_from_ = 0;
  again_until_ = std::min(frames, on_the_way_.size());
  last_progress_ = now;
}

void session_core::release(const sent_frame& frame) {
  bytes_on_the_way_ -= frame.raw_bytes;
  messages_on_the_way_ -= frame.count;
  partial_on_the_way_ -= frame.partial;
  std::uint64_t freed = 0;
  if (frame.kind == frame_kind::envelopes) {
    freed = envelope_bytes(frame.raw_bytes, frame.count);
    small_.drop_before(frame.position + frame.raw_bytes, emptied_);
  } else if (frame.count == 1) {  // the last chunk
    freed = frame.bulk->envelope.large_bytes;
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
      if (again_from_ > 0) --again_from_;
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

}  // namespace troupe::link
