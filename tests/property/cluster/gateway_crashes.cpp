// Whatever moment a gateway dies at, and whatever its disk then has: the stream is the undisturbed
// one.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <deque>

#include "../../unit/cluster/gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;
using E = proto::Envelope;

namespace {

// One client, one worker, and the gateways that they talk to, one after the other.
struct troubled_stream {
  explicit troubled_stream(std::uint32_t count) : tokens(count), wish(job_with('j', count, 1000)) {
    wish.mutable_job()->mutable_sampling()->set_temperature(1);
    move_on();
  }

  static gateway_settings patient() {
    gateway_settings out = gateway_stage::journal_settings();
    out.attempts_max = out.worker_losses_max = 1000;
    return out;
  }

  // A gateway that knows nothing of the job.
  void move_on() {
    gateways.emplace_back(std::vector{node_with("home", proto::READY, true)}, patient());
    stage().settings.epoch += 100 * gateways.size();
    stage().settings.seed_salt = 1000 + gateways.size();
    stage().core = gateway_core(stage().settings);
    stage().begin({node_with("home", proto::READY, true)});
    start.reset();
    come_back();
  }
  void crash(bool power, std::size_t kept) {
    if (power) stage().disk.power_cut(kept);
    stage().restart();
    start.reset();
    if (*rc::gen::inRange(0, 2) == 0)
      settle();  // the gateway computes on before the client is back
    work(*rc::gen::inRange<std::uint32_t>(0, 4));
    come_back();
  }
  void come_back() {
    proto::SubmitJob job = wish;
    if (pinned) {
      *job.mutable_pinned() = *pinned;
      for (const auto& frame : got) *job.add_held() = frame;
      job.set_from_index(ids());
    }
    stage().submit(job);
    settle();
  }
  // The loader, the cache and the client's side, up to a running sequence.
  void settle() {
    stage().prompt_prepared();
    stage().answer_missing();
    stage().model_loaded();
    while (const auto next = stage().next(E::kStartSequence)) {
      start = next->start_sequence();
      produced = static_cast<std::uint32_t>(start->forced_ids_size());
      RC_ASSERT(!seed || *seed == start->sampling().seed());
      if (pinned) seed = pinned->sampling().seed();
    }
    while (const auto message = stage().next(E::kError)) {
      const proto::Error& why = message->error();
      RC_ASSERT(why.code() == proto::Error::UNAVAILABLE || why.code() == proto::Error::CANCELLED);
    }
    for (const auto& message : std::exchange(stage().sent, {})) {
      if (message->has_job_accepted()) pinned = message->job_accepted();
      if (message->has_job_finished()) end = message->job_finished();
      if (!message->has_job_tokens()) continue;
      RC_ASSERT(pinned.has_value());
      RC_ASSERT(message->job_tokens().first_index() == ids());
      got.push_back(message->job_tokens());
    }
  }
  void work(std::uint32_t count) {
    for (std::uint32_t i = 0; start && i < count && produced < tokens; ++i) {
      stage().tokens("home", frame_of(*start, produced, 1));
      ++produced;
      settle();
    }
    if (start && produced == tokens) stage().finished("home", end_of(*start, tokens));
    settle();
  }
  gateway_stage& stage() { return gateways.back(); }
  std::uint32_t ids() const {
    std::uint32_t out = 0;
    for (const auto& frame : got) out += static_cast<std::uint32_t>(frame.ids_size());
    return out;
  }

  std::uint32_t tokens;
  proto::SubmitJob wish;
  std::deque<gateway_stage> gateways;
  std::optional<proto::StartSequence> start;
  std::uint32_t produced = 0;
  std::optional<std::uint64_t> seed;
  std::optional<proto::JobAccepted> pinned;
  std::vector<proto::JobTokens> got;
  std::optional<proto::JobFinished> end;
};

}  // namespace

TEST_CASE("gateways that die, lose what they did not sync, or are left: one stream, once") {
  CHECK(rc::check("random crashes", [] {
    const auto tokens = *rc::gen::inRange<std::uint32_t>(1, 30);
    troubled_stream it(tokens);
    for (int turn = 0; turn < 40 && !it.end; ++turn) {
      it.stage().syncs = *rc::gen::inRange(0, 3) != 0;
      switch (*rc::gen::inRange(0, 7)) {
        case 0:
          it.crash(false, 0);
          break;
        case 1:
          it.crash(true, *rc::gen::inRange<std::size_t>(0, it.stage().disk.unsynced() + 1));
          break;
        case 2:
          it.move_on();
          break;
        case 3:
          it.stage().take(it.stage().core.rewrite_journal(it.stage().now));
          break;
        default:
          it.work(*rc::gen::inRange<std::uint32_t>(1, 5));
      }
    }
    it.stage().syncs = true;
    it.stage().sync();
    it.settle();
    for (int turn = 0; turn < 3 && !it.end; ++turn) it.work(tokens);
    RC_ASSERT(it.end.has_value());
    RC_ASSERT(it.end->reason() == proto::LENGTH);
    RC_ASSERT(!it.end->provenance().class_changed());
    std::string text, expected;
    std::uint32_t next = 0;
    for (const auto& frame : it.got)
      for (const std::int32_t id : frame.ids()) RC_ASSERT(id == token_at(next++));
    for (const auto& frame : it.got) text += frame.text();
    for (std::uint32_t i = 0; i < tokens; ++i) expected += "<" + std::to_string(i) + "+1>";
    RC_ASSERT(next == tokens);
    RC_ASSERT(text == expected);
  }));
}
