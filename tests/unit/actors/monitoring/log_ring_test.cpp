#include <doctest/doctest.h>

#include "actors/monitoring/log_ring.hpp"

using namespace troupe;

namespace {

constexpr std::uint64_t second = 1'000'000;

void say(log_ring& ring, const std::string& text, std::uint64_t at = second,
         proto::LogLevel level = proto::LEVEL_INFO, std::string_view actor = "gateway") {
  ring.add({level, at, actor, text});
}

proto::LogPart read(const log_ring& ring, const proto::ReadLog& asked = {}) {
  proto::LogPart out;
  ring.read(asked, out);
  return out;
}

}  // namespace

TEST_CASE("log lines are told once to who follows with the cursor") {
  log_ring ring("a", 5);
  say(ring, "job_accepted job=1");
  say(ring, "job_finished job=1");
  proto::LogPart part = read(ring);
  REQUIRE(part.lines_size() == 2);
  CHECK(part.lines(0).text() == "job_accepted job=1");
  CHECK(part.lines(0).actor() == "gateway");
  proto::ReadLog asked;
  *asked.mutable_after() = part.next();
  CHECK(read(ring, asked).lines_size() == 0);
  say(ring, "node_up peer=b");
  part = read(ring, asked);
  REQUIRE(part.lines_size() == 1);
  CHECK(part.lines(0).text() == "node_up peer=b");
}

TEST_CASE("a follower of a node that began again gets its lines from the first") {
  log_ring ring("a", 6);
  say(ring, "x");
  proto::ReadLog asked;
  proto::LogCursor& old = *asked.add_after();
  old.set_node("a");
  old.set_incarnation(5);
  old.set_sequence(1000);
  CHECK(read(ring, asked).lines_size() == 1);
}

TEST_CASE("log filters are by level, actor and job") {
  log_ring ring("a", 1);
  say(ring, "job_accepted job=0198c6f2-aa");
  say(ring, "job_failed job=0198ffff-bb", second, proto::LEVEL_WARN);
  say(ring, "breaker_opened node=b", second, proto::LEVEL_WARN, "inference");
  proto::ReadLog asked;
  asked.set_level(proto::LEVEL_WARN);
  CHECK(read(ring, asked).lines_size() == 2);
  asked.set_actor("inference");
  CHECK(read(ring, asked).lines_size() == 1);
  asked.Clear();
  asked.set_job("0198c6f2");
  REQUIRE(read(ring, asked).lines_size() == 1);
  asked.set_job("019");
  CHECK_FALSE(check_log_request(asked).ok());
}

TEST_CASE(
    "the log is bounded, says what left it, and samples a flood without losing the rare line") {
  log_ring ring("a", 1, 100);
  for (int i = 0; i < 100'000; ++i) say(ring, "flood n=" + std::to_string(i));
  say(ring, "rare once");
  CHECK(ring.seen() == 100'001);
  CHECK(ring.left_out() > 98'000);
  proto::ReadLog asked;
  asked.set_lines_max(500);
  asked.add_after()->set_node("a");
  asked.mutable_after(0)->set_incarnation(1);
  const proto::LogPart part = read(ring, asked);
  CHECK(part.lines_size() == 100);
  CHECK(part.dropped() > 0);
  CHECK(part.lines(99).text() == "rare once");
  CHECK(part.lines(98).more_alike() == 99);
  say(ring, "flood again", 2 * second);  // the next second begins anew
  CHECK(read(ring, asked).lines(99).text() == "flood again");
}

TEST_CASE("a log line is cut at a character, and what is not UTF-8 does not break its reader") {
  log_ring ring("a", 1);
  std::string longest;
  while (longest.size() < 4000) longest += "\xC3\xA9";
  say(ring, "x" + longest);
  say(ring, "broken \xff\xfe");
  const proto::LogPart part = read(ring);
  CHECK(part.lines(0).text().size() == 2047);
  CHECK(part.lines(1).text() == "broken ??");
  proto::LogPart again;
  CHECK(again.ParseFromString(part.SerializeAsString()));
}
