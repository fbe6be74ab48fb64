// A checker that nothing can fail proves nothing: histories that are right pass, and each change of
// one event is seen.
#include "tests/sim/checker.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "actors/running_hash.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/planted.hpp"
#include "tests/sim/simulation.hpp"

using namespace troupe;
using namespace troupe::sim;

namespace {

// Two streams of one job, read in two parts, beside three faults. Enough to be valid.
struct small_history {
  sim::history h;
  std::string id = std::string(16, 'j');
  time_us now = 1'000;

  event& add(what kind) {
    event e;
    e.at = now += 1'000;
    e.what = kind;
    e.who = "client1";
    e.node = "node0";
    if (kind != what::fault && kind != what::healed && kind != what::left) e.job = id;
    h.events.push_back(e);
    return h.events.back();
  }
  void tokens(std::uint64_t stream, std::uint32_t first, std::uint32_t count) {
    const known_job& job = h.jobs.at(id);
    event& e = add(what::tokens);
    e.stream = stream;
    e.first = first;
    e.ids.assign(job.ids.begin() + first, job.ids.begin() + first + count);
    e.hash = running_hash_of(std::vector(job.ids.begin(), job.ids.begin() + first + count));
    e.text = job.text.substr(first, count);
  }
  void whole_stream(std::uint64_t stream) {
    const known_job& job = h.jobs.at(id);
    event& asked = add(what::submit);
    asked.stream = stream;
    asked.count = 4;
    event& accepted = add(what::accepted);
    accepted.stream = stream;
    accepted.text = job.asked.sampling().SerializeAsString();
    tokens(stream, 0, 2);
    tokens(stream, 2, 2);
    event& more = add(what::grant);
    more.stream = stream;
    more.count = 4;
    tokens(stream, 4, 2);
    event& end = add(what::finished);
    end.stream = stream;
    end.reason = proto::LENGTH;
    end.count = 6;
    end.hash = running_hash_of(job.ids);
  }
  small_history() {
    known_job job;
    job.id = id;
    job.ids = {1, 2, 3, 4, 5, 6};
    job.text = "abcdef";
    proto::SamplingParameters& sampling = *job.asked.mutable_sampling();
    sampling.set_temperature(1);
    sampling.set_top_p(1);
    sampling.set_repetition_penalty(1);
    sampling.set_seed(7);
    h.jobs[id] = job;
    for (int i = 0; i < 3; ++i) add(what::fault).count = 1;
    event& attempt = add(what::attempt);
    attempt.who = "node0";
    attempt.node = "node1";
    attempt.epoch = 1;
    attempt.attempt = 1;
    event& sending = add(what::sending);
    sending.who = "node0";
    sending.node = "node1";
    sending.epoch = 1;
    sending.attempt = 1;
    event& frame = add(what::frame);
    frame.who = "node1";
    frame.epoch = 1;
    frame.attempt = 1;
    frame.count = 1;
    for (const std::uint64_t stream : {11, 12, 13}) whole_stream(stream);
    add(what::healed);
    add(what::left);
  }
  std::size_t index_of(what kind, int nth = 0) const {
    for (std::size_t i = 0; i < h.events.size(); ++i)
      if (h.events[i].what == kind && nth-- == 0) return i;
    REQUIRE(false);
    return 0;
  }
  event& find(what kind, int nth = 0) { return h.events[index_of(kind, nth)]; }
};

bool broken(const sim::history& h, const std::string& property) {
  const verdict v = check(h);
  return std::any_of(v.violations.begin(), v.violations.end(),
                     [&](const violation& one) { return one.property == property; });
}

}  // namespace

TEST_CASE("a history that is right passes, and is valid") {
  const small_history whole;
  const verdict v = check(whole.h);
  for (const violation& one : v.violations) MESSAGE(one.property << " " << one.about);
  CHECK(v.violations.empty());
  CHECK(v.invalid.empty());
  CHECK(v.answers == 3);
}

TEST_CASE("each event that is dropped, repeated or swapped with its neighbour is missed") {
  const small_history whole;
  const auto matters = [](what kind) {
    return kind == what::submit || kind == what::accepted || kind == what::tokens ||
           kind == what::finished;
  };
  for (std::size_t i = 0; i < whole.h.events.size(); ++i) {
    const what kind = whole.h.events[i].what;
    CAPTURE(described(whole.h.events[i]));
    if (matters(kind)) {
      // A stream without an end that another one follows was broken off, which is allowed.
      if (kind != what::finished || i == whole.index_of(what::finished, 2)) {
        sim::history dropped = whole.h;
        dropped.events.erase(dropped.events.begin() + static_cast<std::ptrdiff_t>(i));
        CHECK(!check(dropped).violations.empty());
      }
      if (kind != what::submit) {  // to ask twice is allowed
        sim::history twice = whole.h;
        twice.events.insert(twice.events.begin() + static_cast<std::ptrdiff_t>(i),
                            whole.h.events[i]);
        CHECK(!check(twice).violations.empty());
      }
    }
    if (i + 1 == whole.h.events.size() || !matters(kind)) continue;
    const event& next = whole.h.events[i + 1];
    if (!matters(next.what) || next.stream != whole.h.events[i].stream) continue;
    sim::history swapped = whole.h;
    std::swap(swapped.events[i], swapped.events[i + 1]);
    CHECK(!check(swapped).violations.empty());
  }
}

TEST_CASE("each property is seen broken by the one event that breaks it") {
  small_history s;
  SUBCASE("J1: no end") {
    s.h.events.resize(s.index_of(what::submit));
    s.add(what::submit).stream = 11;
    event& accepted = s.add(what::accepted);
    accepted.stream = 11;
    accepted.text = s.h.jobs.at(s.id).asked.sampling().SerializeAsString();
    CHECK(broken(s.h, "J1"));
  }
  SUBCASE("J2: cancelled by nobody") {
    s.find(what::finished, 1).reason = proto::CANCELLED_BY_CLIENT;
    CHECK(broken(s.h, "J2"));
  }
  SUBCASE("J3: a gap") {
    s.h.events.erase(s.h.events.begin() + static_cast<std::ptrdiff_t>(s.index_of(what::tokens, 1)));
    CHECK(broken(s.h, "J3"));
  }
  SUBCASE("J4 and J7: one token differs") {
    s.find(what::tokens, 4).ids[1] = 30;
    CHECK(broken(s.h, "J4"));
    CHECK(broken(s.h, "J7"));
  }
  SUBCASE("J5: a stream that nobody asked for") {
    s.find(what::tokens, 2).stream = 99;
    CHECK(broken(s.h, "J5"));
  }
  SUBCASE("J5: refused, and yet tokens") {
    event& refused = s.find(what::accepted);
    refused.what = what::refused;
    refused.code = proto::Error::UNAVAILABLE;
    CHECK(broken(s.h, "J5"));
  }
  SUBCASE("J6: the hash") {
    s.find(what::tokens, 3).hash ^= 1;
    CHECK(broken(s.h, "J6"));
  }
  SUBCASE("J7: a letter of the text") {
    s.find(what::tokens).text[0] = 'z';
    CHECK(broken(s.h, "J7"));
  }
  SUBCASE("J7: pinned to another seed") {
    s.find(what::accepted).text.clear();
    CHECK(broken(s.h, "J7"));
  }
  SUBCASE("J8: an older attempt after a newer one") {
    event newer = s.find(what::attempt);
    newer.attempt = 2;
    s.h.events.insert(s.h.events.begin() + static_cast<std::ptrdiff_t>(s.index_of(what::sending)),
                      newer);
    CHECK(broken(s.h, "J8"));
  }
  SUBCASE("J8: taken from a worker that has no such attempt") {
    s.find(what::frame).attempt = 5;
    CHECK(broken(s.h, "J8"));
  }
  SUBCASE("J9: two ends") {
    s.h.events.push_back(s.find(what::finished));
    CHECK(broken(s.h, "J9"));
  }
  SUBCASE("J10: too many attempts") {
    for (std::uint32_t i = 2; i < 40; ++i) {
      event more = s.find(what::attempt);
      more.attempt = i;
      s.h.events.push_back(more);
    }
    CHECK(broken(s.h, "J10"));
  }
  SUBCASE("J11: tokens long after the cancellation") {
    event cancelled = s.find(what::tokens);
    cancelled.what = what::cancel;
    cancelled.stream = 12;
    s.h.events.insert(s.h.events.begin() + static_cast<std::ptrdiff_t>(s.index_of(what::tokens, 5)),
                      cancelled);
    for (std::size_t i = s.index_of(what::cancel) + 1; i < s.h.events.size(); ++i)
      s.h.events[i].at += 30'000'000;
    CHECK(broken(s.h, "J11"));
  }
  SUBCASE("J12: more than the credit") {
    s.find(what::grant).count = 1;
    CHECK(broken(s.h, "J12"));
  }
  SUBCASE("J12: something left over") {
    s.find(what::left).count = 2;
    CHECK(broken(s.h, "J12"));
  }
  SUBCASE("J13: failed while nothing was wrong") {
    event& end = s.find(what::finished, 2);
    end.reason = proto::FAILED;
    end.code = proto::Error::UNAVAILABLE;
    end.at += 60'000'000;
    CHECK(broken(s.h, "J13"));
  }
}

TEST_CASE("a run that risked too little is invalid") {
  small_history s;
  SUBCASE("no job was in flight at a fault") {
    for (int i = 0; i < 3; ++i) s.find(what::fault, i).count = 0;
  }
  SUBCASE("no faults") {
    s.h.events.erase(s.h.events.begin(), s.h.events.begin() + 3);
  }
  SUBCASE("no answers") {
    for (int i = 0; i < 3; ++i) {
      s.find(what::finished, i).reason = proto::FAILED;
      s.find(what::finished, i).code = proto::Error::UNAVAILABLE;
    }
  }
  CHECK(!check(s.h).invalid.empty());
}

TEST_CASE("one seed is one run, to the bit") {
  for (const std::uint64_t seed : {1u, 2u, 3u, 5u, 8u}) {
    const run_result first = run(make_plan(seed)), second = run(make_plan(seed));
    CHECK(first.digest == second.digest);
    CHECK(first.history.events.size() == second.history.events.size());
    CHECK(first.actions == second.actions);
  }
  CHECK(run(make_plan(1)).digest != run(make_plan(2)).digest);
}

TEST_CASE("each planted bug is found, by a property that it breaks") {
  constexpr std::uint64_t seeds_max = 2000;  // as many as "sim: seeds" runs
  for (const planted_bug& bug : planted_bugs()) {
    const std::string breaks = " " + std::string(bug.breaks) + " ";
    std::uint64_t found_at = 0;
    for (std::uint64_t seed = 1; seed <= seeds_max && found_at == 0; ++seed)
      for (const violation& one : check(run(make_plan(seed), bug.make).history).violations)
        if (breaks.find(" " + one.property + " ") != std::string::npos) found_at = seed;
    const std::string told = std::string(bug.name) + ": seed " + std::to_string(found_at);
    MESSAGE(told);
    CHECK(found_at > 0);
  }
}
