// A sick service is left alone, tried by one, and trusted again.
#include "actors/circuit_breaker.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace troupe;
using std::chrono::milliseconds;

namespace {

time_point_us at_ms(int ms) {
  return time_point_us(ms * 1000);
}

}  // namespace

TEST_CASE("pauses double up to the longest, each less a part of the jitter") {
  const back_off plain{milliseconds(100), milliseconds(1'000), 0};
  CHECK(plain.pause(1, 77) == at_ms(100));
  CHECK(plain.pause(2, 77) == at_ms(200));
  CHECK(plain.pause(4, 77) == at_ms(800));
  CHECK(plain.pause(5, 77) == at_ms(1'000));
  CHECK(plain.pause(4'000'000'000u, 77) == at_ms(1'000));
  const back_off spread{milliseconds(100), milliseconds(1'000), 25};
  seeded_draws draws(3);
  std::set<time_point_us> seen;
  for (int i = 0; i < 100; ++i) {
    const time_point_us pause = spread.pause(2, draws.next());
    CHECK(pause >= at_ms(150));
    CHECK(pause <= at_ms(200));
    seen.insert(pause);
  }
  CHECK(seen.size() > 50);
}

TEST_CASE("closed, open, half-open with one trial, and back") {
  circuit_breaker breaker(3, {milliseconds(100), milliseconds(1'000)});
  breaker.failed(at_ms(0));
  breaker.failed(at_ms(1));
  CHECK(breaker.state(at_ms(1)) == breaker_state::closed);
  CHECK(breaker.allows(at_ms(1)));
  SUBCASE("a success between failures: they are not in a row") {
    breaker.succeeded();
    breaker.failed(at_ms(2));
    breaker.failed(at_ms(2));
    CHECK(breaker.allows(at_ms(2)));
  }
  SUBCASE("the third in a row opens it") {
    breaker.failed(at_ms(2));
    CHECK(breaker.state(at_ms(2)) == breaker_state::open);
    CHECK(!breaker.allows(at_ms(101)));
    breaker.failed(at_ms(50));  // a call that was out before: nothing new
    CHECK(breaker.state(at_ms(102)) == breaker_state::half_open);
    REQUIRE(breaker.allows(at_ms(102)));
    breaker.tried(at_ms(102));
    CHECK(!breaker.allows(at_ms(103)));
    CHECK(breaker.state(at_ms(103)) == breaker_state::half_open);
    SUBCASE("the trial succeeds") {
      breaker.succeeded();
      CHECK(breaker.state(at_ms(104)) == breaker_state::closed);
      CHECK(breaker.allows(at_ms(104)));
      breaker.failed(at_ms(105));
      CHECK(breaker.allows(at_ms(105)));
    }
    SUBCASE("the trial fails: twice as long, and so on up to the longest") {
      breaker.failed(at_ms(110));
      CHECK(!breaker.allows(at_ms(309)));
      CHECK(breaker.allows(at_ms(310)));
      int now = 310;
      for (const int pause : {400, 800, 1'000, 1'000}) {
        breaker.tried(at_ms(now));
        breaker.failed(at_ms(now));
        CHECK(!breaker.allows(at_ms(now + pause - 1)));
        CHECK(breaker.allows(at_ms(now + pause)));
        now += pause;
      }
    }
    SUBCASE("nothing is heard of the trial: there is room for another") {
      CHECK(!breaker.allows(at_ms(201)));
      CHECK(breaker.allows(at_ms(202)));
    }
  }
}

TEST_CASE("a breaker's chance is its seed's") {
  const auto pauses_of = [](std::uint64_t seed) {
    circuit_breaker breaker(1, {milliseconds(100), milliseconds(60'000), 50}, seed);
    std::vector<time_point_us> out;
    time_point_us now{0};
    for (int i = 0; i < 8; ++i) {
      breaker.failed(now);
      out.push_back(breaker.retry_at() - now);
      now = breaker.retry_at();
    }
    return out;
  };
  CHECK(pauses_of(1) == pauses_of(1));
  CHECK(pauses_of(1) != pauses_of(2));
}
