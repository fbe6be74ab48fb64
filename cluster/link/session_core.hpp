// One session with one peer: numbering, acknowledgement, credit, sending again, keep-alive and
// giving up. Pure: time comes in, frames to send go out as plans; no sockets, no clock, no threads.
//
// Invariants
//  1. Frames are taken in the order of their sequence, each once; a frame out of order is dropped
//  and asked for again
//     (go back N), so nothing is buffered on the way in.
//  2. What was accepted and not acknowledged is kept, and comes out of take_undelivered() when the
//  session has ended.
//  3. Order holds between the same two actors. A large envelope travels in chunks beside small
//  ones, which may overtake it
//     unless they go from the same actor to the same actor.
//  4. Lease: a frame is refused as stale when this side cannot know that its sender still holds the
//  session: the newest
//     time of ours that the sender had heard is older than the sender's patience. Nothing is thus
//     delivered after its sender reported it lost, not even what waited in socket buffers while
//     this process was stopped.
//  5. At most partial_frames_max frames that are not full are on the way: small envelopes wait for
//  each other only while
//     others of this session are on the way already.
// Threading: one thread at a time. Units: microseconds of one steady clock per side.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/link/envelope_codec.hpp"
#include "cluster/link/frame.hpp"
#include "cluster/link/packed_queue.hpp"

namespace troupe::link {

using time_us = std::uint64_t;

struct session_settings {
  std::uint32_t coalesced_bytes_max = 64u << 10;
  std::uint32_t chunk_bytes = 256u << 10;
  std::uint32_t window_bytes = 16u << 20;  // what the peer may have on the way to us
  std::uint32_t window_messages = 1u << 18;
  std::uint32_t peer_window_bytes =
      0;  // what we may have on the way to it, at first (from its hello)
  std::uint32_t peer_window_messages = 0;
  time_us silence = 3'000'000;       // ours
  time_us peer_silence = 3'000'000;  // the peer's
  time_us resend_after = 250'000;    // doubles with each attempt that brings nothing, up to 4 s
  unsigned resends_max = 10;
  time_us acknowledge_within = 5'000;
  time_us reconnect_within = 250'000;  // after the connection broke
  unsigned partial_frames_max = 4;
};

struct session_counters {
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t resent = 0;             // frames
  std::uint64_t dropped_duplicate = 0;  // frames
  std::uint64_t dropped_gap = 0;
  std::uint64_t dropped_stale = 0;
  std::uint64_t dropped_malformed = 0;
  std::uint64_t round_trip_us = 0;
};

// A large envelope on its way, or a small one that waits behind it for the sake of order.
struct bulk_envelope {
  outgoing_run envelope;
  std::uint64_t number = 0;
  std::uint64_t flow = 0;
  std::unique_ptr<envelope_rope> rope;  // null: small
  std::uint64_t sent = 0;
  std::uint64_t small_before = 0;  // small ones up to here must have left before its end does
};

// A frame to send now. Its header is complete but for the sizes and flag_compressed, which the
// encoder adds.
struct frame_plan {
  frame_header header;
  const packed_queue* small = nullptr;  // envelopes frame
  std::uint64_t position = 0;           // in small
  std::uint32_t count = 0;
  const envelope_rope* rope = nullptr;  // chunk frame
  chunk_prefix chunk;
  std::uint32_t raw_bytes = 0;  // of the body
};

void write_body(const frame_plan& plan, std::uint8_t* out);  // raw_bytes of it

enum class frame_verdict { control, take, duplicate, gap, stale, malformed };

class session_core {
 public:
  session_core(session_settings settings, std::uint64_t peer_session, time_us peer_sent_at,
               time_us now);

  void accept(outgoing_run run);
  // The next frame to send, counted as sent; none when there is nothing to do or nothing is
  // allowed.
  std::optional<frame_plan> next_frame(time_us now);
  // The channel did not take that frame: it will come again, not before `retry_at`.
  void refused(const frame_header& header, time_us retry_at);

  // Every frame that carries our session number. For `take` the caller reads the body and then
  // calls taken() or, where the body is malformed, spoilt(); until then the frame does not count as
  // received.
  frame_verdict receive(const frame_header& header, time_us now);
  void taken(const frame_header& header, std::uint32_t messages, time_us now);
  void spoilt() { ++counters_.dropped_malformed; }

  void tick(time_us now);
  time_us next_deadline() const;  // tick() has nothing to do before
  void connection_lost(time_us now);
  void connection_back(time_us now);
  void probe() { acknowledge_now_ = answer_wanted_ = true; }  // a frame at once, to be answered
  void end(std::string reason);

  bool ended() const { return ended_; }
  const std::string& end_reason() const { return reason_; }
  bool idle() const { return small_.empty() && bulk_.empty(); }  // everything is acknowledged
  // How many bytes more must wait before it is worth handing them over: 0 where they would leave at
  // once.
  std::uint64_t worth_taking_bytes() const;
  std::uint64_t unacknowledged_bytes() const { return kept_bytes_; }
  std::uint64_t take_released_bytes() { return std::exchange(released_bytes_, 0); }
  // What held acknowledged envelopes, for the caller to use again.
  std::vector<packed_bytes>& emptied() { return emptied_; }
  std::vector<envelope_ptr> take_undelivered(std::size_t most);
  const session_counters& counters() const { return counters_; }
  std::uint64_t peer_session() const { return peer_session_; }

 private:
  struct sent_frame {
    std::uint64_t sequence;
    frame_kind kind;
    bool partial;
    std::uint32_t count;
    std::uint32_t raw_bytes;
    std::uint64_t position;  // envelopes: in small_
    bulk_envelope* bulk;
    chunk_prefix chunk;
  };

  frame_header header_now(frame_kind kind, time_us now);
  std::optional<frame_plan> plan_again(time_us now);
  std::optional<frame_plan> plan_small(time_us now);
  std::optional<frame_plan> plan_chunk(time_us now);
  frame_plan plan_of(const sent_frame& frame, time_us now);
  bool credit_for(std::uint64_t raw_bytes, std::uint32_t messages) const;
  void record(const sent_frame& frame);
  void hold(outgoing_run run, std::uint64_t number, std::uint64_t flow);
  void accept_beside_held(const packed_bytes& run, std::uint64_t number);
  void admit_waiting();
  bool take_acknowledgement(const frame_header& header, time_us now);
  void release(const sent_frame& frame);
  void start_again(std::size_t frames, time_us now);

  session_settings settings_;
  std::uint64_t peer_session_;
  bool ended_ = false;
  std::string reason_;
  session_counters counters_;

  // Out. small_ up to small_sent_ is on the way, the rest waits. bulk_[0, bulk_sent_) are sent as a
  // whole.
  packed_queue small_;
  std::uint64_t small_sent_ = 0;  // a position
  std::deque<std::unique_ptr<bulk_envelope>> bulk_;
  std::size_t bulk_sent_ = 0;
  std::unordered_map<std::uint64_t, std::uint32_t> held_flows_;  // in bulk_[bulk_sent_, end)
  std::deque<sent_frame> on_the_way_;
  std::uint64_t bytes_on_the_way_ = 0;
  std::uint64_t messages_on_the_way_ = 0;
  std::uint32_t partial_on_the_way_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t next_number_ = 1;
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t released_bytes_ = 0;
  std::vector<packed_bytes> emptied_;
  std::uint32_t credit_bytes_;
  std::uint32_t credit_messages_;
  bool chunk_turn_ = false;
  std::size_t again_from_ = 0;  // on_the_way_[again_from_, again_until_) are to be sent again
  std::size_t again_until_ = 0;
  time_us gap_served_at_ = 0;
  std::uint64_t gap_served_ = 0;
  time_us last_progress_ = 0;  // last acknowledgement, or first frame on the way
  unsigned resends_ = 0;
  time_us retry_at_ = 0;

  // In.
  std::uint64_t expected_ = 1;
  time_us peer_sent_at_;
  time_us last_heard_;
  std::uint32_t frames_unanswered_ = 0;  // taken since our last acknowledgement
  std::uint64_t bytes_unanswered_ = 0;
  time_us acknowledge_by_ = 0;
  bool acknowledge_now_ = false;
  bool gap_seen_ = false;
  time_us gap_told_at_ = 0;
  bool answer_wanted_ = false;  // we want one
  bool answer_owed_ = false;
  time_us last_probe_;
  time_us lost_at_ = 0;
};

}  // namespace troupe::link
