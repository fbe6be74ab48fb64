#include "cluster/link/session_core.hpp"

#include <doctest/doctest.h>

#include "tests/unit/link/observed_endpoint.hpp"

namespace troupe::link {
namespace {

struct one_session {
  session_settings settings;
  session_core core;
  time_us now = 1'000'000;

  explicit one_session(session_settings s = defaults())
      : settings(s), core(s, 77, 900'000, 1'000'000) {}
  static session_settings defaults() {
    session_settings s;
    s.peer_window_bytes = 1 << 20;
    s.peer_window_messages = 1000;
    return s;
  }
  void accept(std::uint64_t number, std::size_t payload = 10, const std::string& actor = "node") {
    auto message = envelope_to("b", number, std::string(payload, 'x'), actor);
    const std::uint64_t bytes = message->ByteSizeLong();
    core.accept(run_of(message, bytes, settings.chunk_bytes));
  }
  std::vector<frame_plan> all() {
    std::vector<frame_plan> out;
    while (auto plan = core.next_frame(now)) out.push_back(*plan);
    return out;
  }
  frame_header from_peer(frame_kind kind, std::uint64_t sequence, std::uint64_t acknowledged) {
    frame_header header;
    header.kind = kind;
    header.sequence = sequence;
    header.acknowledged = acknowledged;
    header.credit_bytes = settings.peer_window_bytes;
    header.credit_messages = settings.peer_window_messages;
    header.sent_at = now;
    header.heard_at = now;
    header.raw_bytes = 100;
    return header;
  }
  void acknowledge(std::uint64_t upto, std::uint8_t flags = 0) {
    auto header = from_peer(frame_kind::acknowledgement, 0, upto);
    header.flags = flags;
    core.receive(header, now);
  }
};

TEST_CASE("small envelopes leave at once, then gather behind four frames on the way") {
  one_session s;
  for (std::uint64_t i = 0; i < 4; ++i) {
    s.accept(i);
    CHECK(s.all().size() == 1);
  }
  for (std::uint64_t i = 4; i < 50; ++i) s.accept(i);
  CHECK(s.all().empty());
  CHECK(s.core.worth_taking_bytes() > 0);
  s.acknowledge(2);
  const auto frames = s.all();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].count == 46);
  s.acknowledge(5);
  CHECK(s.core.idle());
  CHECK(s.core.take_released_bytes() > 0);
  CHECK(s.core.unacknowledged_bytes() == 0);
}

TEST_CASE("a full frame leaves whatever is on the way") {
  one_session s;
  for (std::uint64_t i = 0; i < 4; ++i) s.accept(i), s.all();
  for (std::uint64_t i = 0; i < 10; ++i) s.accept(i, 10'000);
  const auto frames = s.all();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].raw_bytes <= s.settings.coalesced_bytes_max);
  CHECK(frames[0].count == 6);
}

TEST_CASE("the peer's credit bounds what is on the way, in bytes and in envelopes") {
  session_settings settings = one_session::defaults();
  settings.partial_frames_max = 1000;
  settings.peer_window_bytes = 5000;
  one_session bytes(settings);
  for (std::uint64_t i = 0; i < 100; ++i) bytes.accept(i, 900), bytes.all();
  std::size_t on_the_way = bytes.core.counters().bytes_sent;
  CHECK(on_the_way <= 5000);
  CHECK(on_the_way >= 4000);
  settings = one_session::defaults();
  settings.partial_frames_max = 1000;
  settings.peer_window_messages = 7;
  one_session messages(settings);
  for (std::uint64_t i = 0; i < 100; ++i) messages.accept(i), messages.all();
  CHECK(messages.core.counters().messages_sent == 7);
  auto header = messages.from_peer(frame_kind::acknowledgement, 0, 7);
  header.credit_messages = 3;
  messages.core.receive(header, messages.now);
  messages.all();
  CHECK(messages.core.counters().messages_sent == 10);
}

TEST_CASE("a gap is served from where it begins; a silent loss after a while") {
  one_session s;
  for (std::uint64_t i = 0; i < 3; ++i) s.accept(i), s.all();
  s.acknowledge(1, flag_gap);
  auto again = s.all();
  REQUIRE(again.size() == 2);
  CHECK(again[0].header.sequence == 2);
  CHECK(again[1].header.sequence == 3);
  s.acknowledge(1, flag_gap);
  CHECK(s.all().empty());  // served a moment ago
  s.now += s.settings.resend_after;
  s.core.tick(s.now);
  again = s.all();
  REQUIRE(again.size() >= 1);
  CHECK(again[0].header.sequence == 2);
  CHECK(s.core.counters().resent == 3);
}

TEST_CASE("frames are taken once and in order; others are dropped and answered") {
  one_session s;
  CHECK(s.core.receive(s.from_peer(frame_kind::envelopes, 2, 0), s.now) == frame_verdict::gap);
  auto frames = s.all();
  REQUIRE(frames.size() == 1);
  CHECK((frames[0].header.flags & flag_gap) != 0);
  CHECK(frames[0].header.acknowledged == 0);
  const auto first = s.from_peer(frame_kind::envelopes, 1, 0);
  CHECK(s.core.receive(first, s.now) == frame_verdict::take);
  CHECK(s.core.receive(first, s.now) == frame_verdict::take);  // not taken yet
  s.core.taken(first, 1, s.now);
  CHECK(s.core.receive(first, s.now) == frame_verdict::duplicate);
  frames = s.all();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].header.acknowledged == 1);
  CHECK(s.core.receive(s.from_peer(frame_kind::envelopes, 2, 0), s.now) == frame_verdict::take);
}

TEST_CASE("an acknowledgement comes after two frames, or a little later, or with a reply") {
  one_session s;
  const auto take = [&](std::uint64_t sequence) {
    const auto header = s.from_peer(frame_kind::envelopes, sequence, 0);
    REQUIRE(s.core.receive(header, s.now) == frame_verdict::take);
    s.core.taken(header, 1, s.now);
  };
  take(1);
  CHECK(s.all().empty());
  CHECK(s.core.next_deadline() == s.now + s.settings.acknowledge_within);
  take(2);
  CHECK(s.all().size() == 1);
  take(3);
  s.accept(1);
  auto frames = s.all();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].header.kind == frame_kind::envelopes);
  CHECK(frames[0].header.acknowledged == 3);
  take(4);
  s.now += s.settings.acknowledge_within;
  s.core.tick(s.now);
  frames = s.all();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].header.acknowledged == 4);
}

TEST_CASE("a bulk transfer shares the way with small envelopes") {
  one_session s;
  s.settings.partial_frames_max = 100;
  one_session t(s.settings);
  t.accept(1, 3 << 20, "loader");
  std::size_t chunks = 0, small = 0;
  for (std::uint64_t i = 2; i < 40; ++i) {
    t.accept(i, 10, "node");
    const auto plan = t.core.next_frame(t.now);
    if (!plan) break;
    (plan->rope ? chunks : small) += 1;
  }
  CHECK(chunks >= 3);
  CHECK(small >= 3);
}

TEST_CASE("a peer that is silent is given up, with what it did not acknowledge") {
  one_session s;
  for (std::uint64_t i = 0; i < 3; ++i) s.accept(i), s.all();
  s.accept(3, 400'000);
  s.acknowledge(1);
  s.now += s.settings.silence - 1;
  s.core.tick(s.now);
  CHECK_FALSE(s.core.ended());
  s.now += 1;
  s.core.tick(s.now);
  REQUIRE(s.core.ended());
  CHECK(s.core.end_reason().find("silent") != std::string::npos);
  const auto lost = s.core.take_undelivered(2);
  REQUIRE(lost.size() == 2);
  CHECK(lost[0]->correlation() == 1);
  CHECK(lost[1]->correlation() == 2);
  CHECK(s.core.idle());
}

TEST_CASE("what waits behind a large envelope of its flow comes back in order of acceptance") {
  one_session s;
  s.accept(1);
  s.accept(2, 400'000, "loader");
  s.accept(3, 10, "loader");
  s.accept(4);
  s.all();
  s.core.end("over");
  const auto lost = s.core.take_undelivered(10);
  REQUIRE(lost.size() == 4);
  for (std::uint64_t i = 0; i < 4; ++i) CHECK(lost[i]->correlation() == i + 1);
  CHECK(lost[1]->ByteSizeLong() > 400'000);
  CHECK(lost[2]->target().actor() == "loader");
}

TEST_CASE("a broken connection is given up soon, unless it comes back") {
  one_session s;
  s.core.connection_lost(s.now);
  s.acknowledge(0);
  s.now += s.settings.reconnect_within;
  s.core.tick(s.now);
  CHECK_FALSE(s.core.ended());
  s.core.connection_lost(s.now);
  s.now += s.settings.reconnect_within;
  s.core.tick(s.now);
  CHECK(s.core.ended());
}

TEST_CASE("a peer that is alive and never acknowledges is given up at last") {
  one_session s;
  s.accept(1);
  for (int i = 0; i < 1000 && !s.core.ended(); ++i) {
    s.now += 100'000;
    s.acknowledge(0);
    s.core.tick(s.now);
    s.all();
  }
  CHECK(s.core.ended());
  CHECK(s.core.counters().resent == s.settings.resends_max);
}

TEST_CASE("keep-alives go out and tell the round trip") {
  one_session s;
  s.now += s.settings.silence / 6;
  s.core.tick(s.now);
  const auto frames = s.all();
  REQUIRE(frames.size() == 1);
  CHECK((frames[0].header.flags & flag_answer_wanted) != 0);
  auto answer = s.from_peer(frame_kind::acknowledgement, 0, 0);
  answer.flags = flag_answers;
  answer.heard_at = frames[0].header.sent_at;
  s.core.receive(answer, s.now + 123);
  CHECK(s.core.counters().round_trip_us == 123);
}

TEST_CASE("a frame from before a long stop is stale, and asked about") {
  one_session s;
  auto old = s.from_peer(frame_kind::envelopes, 1, 0);
  s.now += s.settings.peer_silence;
  CHECK(s.core.receive(old, s.now) == frame_verdict::stale);
  const auto frames = s.all();
  REQUIRE(frames.size() == 1);
  CHECK((frames[0].header.flags & flag_answer_wanted) != 0);
  CHECK(frames[0].header.acknowledged == 0);
}

TEST_CASE("acknowledgements that cannot be are malformed") {
  one_session s;
  s.accept(1);
  s.all();
  CHECK(s.core.receive(s.from_peer(frame_kind::acknowledgement, 0, 2), s.now) ==
        frame_verdict::malformed);
  auto ahead = s.from_peer(frame_kind::acknowledgement, 0, 1);
  ahead.heard_at = s.now + 1;
  CHECK(s.core.receive(ahead, s.now) == frame_verdict::malformed);
  CHECK(s.core.counters().dropped_malformed == 2);
}

}  // namespace
}  // namespace troupe::link
