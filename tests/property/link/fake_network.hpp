// Two session cores and a network between them that loses, repeats, delays and reorders real
// frames; sides can be stopped for a while, as SIGSTOP does it: what arrives meanwhile waits. One
// seed, one run.
#pragma once

#include <map>
#include <random>
#include <set>
#include <vector>

#include "cluster/link/session_core.hpp"

namespace troupe::link {

struct network_faults {
  unsigned loss_percent = 0;
  unsigned repeat_percent = 0;
  unsigned reorder_percent = 0;
  time_us delay_max = 1'000;
};

struct accepted_envelope {
  std::uint64_t number;
  std::string flow;
};

struct network_side {
  session_core core;
  std::multimap<time_us, std::vector<std::uint8_t>> inbound;  // by time of arrival
  envelope_assembly assembly;
  time_us stopped_until = 0;
  time_us ended_at = 0;
  std::vector<accepted_envelope> accepted;
  std::vector<std::pair<time_us, envelope_ptr>> delivered;
  std::vector<envelope_ptr> undelivered;
};

class fake_network {
 public:
  fake_network(std::uint64_t seed, session_settings settings)
      : settings_(settings),
        random_(seed),
        sides_{{session_core(settings, 2, now_, now_), {}, {}, 0, 0, {}, {}, {}},
               {session_core(settings, 1, now_, now_), {}, {}, 0, 0, {}, {}, {}}} {}

  network_faults faults;
  network_side& side(int i) { return sides_[i]; }
  time_us now() const { return now_; }
  std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  void submit(int from, std::size_t payload_bytes, const std::string& flow) {
    network_side& s = sides_[from];
    if (s.core.ended()) return;
    auto message = std::make_shared<proto::Envelope>();
    message->mutable_sender()->set_actor(flow);
    message->mutable_target()->set_node("other");
    message->mutable_target()->set_actor(flow);
    message->set_correlation(s.accepted.size() + 1);
    std::string payload(payload_bytes, '\0');
    for (std::size_t i = 0; i < payload.size(); ++i)
      payload[i] = static_cast<char>(i * 7 + s.accepted.size());
    message->mutable_count_flood()->set_payload(std::move(payload));
    s.accepted.push_back({message->correlation(), flow});
    const std::uint64_t bytes = message->ByteSizeLong();
    s.core.accept(run_of(message, bytes, settings_.chunk_bytes));
  }

  void step(time_us time) {
    now_ += time;
    for (int i = 0; i < 2; ++i)
      if (sides_[i].stopped_until <= now_) run(i);
  }

 private:
  void run(int i) {
    network_side& s = sides_[i];
    while (!s.inbound.empty() && s.inbound.begin()->first <= now_) {
      const auto frame = std::move(s.inbound.begin()->second);
      s.inbound.erase(s.inbound.begin());
      receive(s, frame);
    }
    if (s.core.ended()) return;
    s.core.tick(now_);
    if (s.core.ended()) {
      s.ended_at = now_;
      s.undelivered = s.core.take_undelivered(1u << 30);
      return;
    }
    for (int n = 0; n < 64; ++n) {
      const auto plan = s.core.next_frame(now_);
      if (!plan) break;
      if (draw(100) < 2) {
        s.core.refused(plan->header, now_ + 500);
        break;
      }
      post(1 - i, *plan);
    }
  }

  void post(int to, const frame_plan& plan) {
    frame_header header = plan.header;
    header.raw_bytes = header.body_bytes = plan.raw_bytes;
    std::vector<std::uint8_t> frame(header_bytes + plan.raw_bytes);
    encode_header(header, frame.data());
    write_body(plan, frame.data() + header_bytes);
    seal_frame(frame);
    const unsigned copies = 1 + (draw(100) < faults.repeat_percent);
    for (unsigned c = 0; c < copies; ++c) {
      if (draw(100) < faults.loss_percent) continue;
      time_us& last = last_arrival_[to];
      const bool early = draw(100) < faults.reorder_percent;
      const time_us at = now_ + 20 + draw(faults.delay_max);
      if (!early) last = std::max(last, at);
      sides_[to].inbound.emplace(early ? at : last, frame);
    }
  }

  void receive(network_side& s, const std::vector<std::uint8_t>& frame) {
    frame_header header;
    if (decode_header(frame, header) != frame_fault::none) std::abort();
    if (s.core.receive(header, now_) != frame_verdict::take) return;
    const std::span<const std::uint8_t> body(frame.data() + header_bytes, header.body_bytes);
    std::vector<envelope_ptr> messages;
    std::uint64_t unreadable = 0;
    if (header.kind == frame_kind::envelopes) {
      if (!read_envelopes(body, messages, unreadable) || unreadable > 0) std::abort();
    } else {
      chunk_prefix prefix;
      auto keeper = std::make_shared<std::vector<std::uint8_t>>(body.begin(), body.end());
      if (!decode_chunk_prefix(*keeper, prefix) ||
          !s.assembly.add(
              prefix, {keeper, std::span<const std::uint8_t>(*keeper).subspan(chunk_prefix_bytes)}))
        std::abort();
      if (s.assembly.complete()) messages.push_back(s.assembly.take());
    }
    s.core.taken(header, static_cast<std::uint32_t>(messages.size()), now_);
    for (auto& message : messages) s.delivered.emplace_back(now_, std::move(message));
  }

  const session_settings settings_;
  std::mt19937_64 random_;
  time_us now_ = 1'000'000;
  network_side sides_[2];
  time_us last_arrival_[2] = {0, 0};
};

}  // namespace troupe::link
