// Answers that a job constrains: what is drawn, where they end, and how an attempt goes on.
#include <doctest/doctest.h>

#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

bench ready() {
  bench b;
  b.add_model("model", 64, 128);
  b.others.clear();
  return b;
}

job_wish asking(const std::string& id, std::uint64_t seed) {
  job_wish job{.id = id, .tokens_max = 20, .temperature = 5, .seed = seed, .ignore_end = false};
  job.schema = R"({"enum": [true, false, null]})";
  return job;
}

bool is_listed(std::string text) {
  if (text.starts_with(' ')) text.erase(0, 1);
  return text == "true" || text == "false" || text == "null";
}

error failure_of(bench& b, const job_wish& job) {
  b.say(start_message(job));
  b.run();
  REQUIRE(b.of(job).failed);
  const proto::Error& why = b.of(job).failed->error();
  return {static_cast<error_code>(why.code()), why.message(), why.mend()};
}

}  // namespace

TEST_CASE("a constrained answer is what the schema lists, whatever the logits, and ends there") {
  bench b = ready();
  std::set<std::string> given;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const job_wish job = asking("job-" + std::to_string(seed), seed);
    b.say(start_message(job));
    b.run();
    REQUIRE(b.of(job).finished);
    CHECK(b.of(job).finished->reason() == proto::END_OF_TEXT);
    CHECK(is_listed(b.of(job).whole_text()));
    CHECK(b.of(job).broken.empty());
    given.insert(b.of(job).whole_text());
  }
  CHECK(given.size() > 1);
  CHECK(b.refusals.empty());
}

TEST_CASE("forced tokens rebuild the matcher: the same answer from every place on") {
  bench b = ready();
  const job_wish whole = asking("whole", 3);
  b.say(start_message(whole));
  b.run();
  const std::vector<kernels::token_id> ids = b.of(whole).ids;
  REQUIRE(ids.size() >= 4);
  for (std::size_t held = 0; held <= ids.size(); ++held) {
    job_wish rest = asking("rest-" + std::to_string(held), 3);
    rest.forced.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(held));
    b.say(start_message(rest));
    b.run();
    REQUIRE(b.of(rest).finished);
    CHECK(b.of(rest).finished->reason() == proto::END_OF_TEXT);
    std::vector<kernels::token_id> all = rest.forced;
    all.insert(all.end(), b.of(rest).ids.begin(), b.of(rest).ids.end());
    CHECK(all == ids);
  }
}

TEST_CASE("constraints that cannot be: a wrong schema, strange forced tokens, no way to write it") {
  bench b = ready();
  job_wish job = asking("wrong", 1);
  job.schema = R"({"type": "frog"})";
  CHECK(failure_of(b, job).code == error_code::invalid_argument);

  job = asking("forced", 1);
  job.forced = {20, 24};  // "tx"
  CHECK(failure_of(b, job).message.find("at token 1") != std::string::npos);

  job = asking("endless", 1);
  job.ignore_end = true;
  CHECK(failure_of(b, job).message.find("ignore_end") != std::string::npos);

  job = asking("unwritable", 1);
  job.schema = R"({"type": "string"})";  // these letters have no quotes
  CHECK(failure_of(b, job).code == error_code::unsupported);

  job = asking("after", 1);
  b.say(start_message(job));
  b.run();
  CHECK(b.of(job).finished);
  CHECK(b.core.blocks_of("model").first == b.core.blocks_of("model").second);
}

TEST_CASE("an answer that its length cuts is a beginning of what the schema allows") {
  bench b = ready();
  job_wish job = asking("cut", 1);
  job.tokens_max = 2;
  b.say(start_message(job));
  b.run();
  REQUIRE(b.of(job).finished);
  CHECK(b.of(job).finished->reason() == proto::LENGTH);
  CHECK(b.of(job).ids.size() == 2);
}

namespace {

// Constraints are asked for, and stay unmade until compile().
bench holding(const inference_settings& settings = {}) {
  bench b{settings};
  b.add_model("model", 64, 128);
  b.others.clear();
  b.holds_compiles = true;
  return b;
}

heard at_once(const job_wish& job) {
  bench b = ready();
  b.say(start_message(job));
  b.run();
  return b.of(job);
}

void check_equal(const heard& got, const heard& expected) {
  CHECK(got.broken.empty());
  CHECK(got.ids == expected.ids);
  CHECK(got.whole_text() == expected.whole_text());
  CHECK(got.log_probabilities == expected.log_probabilities);
  CHECK(got.running_hash == expected.running_hash);
  REQUIRE(got.finished);
  CHECK(got.finished->running_hash() == expected.finished->running_hash());
}

job_wish of_kind(const std::string& id, const std::string& listed) {
  job_wish job = asking(id, 5);
  job.schema = R"({"enum": [)" + listed + "]}";
  return job;
}

}  // namespace

TEST_CASE("while a constraint is made others' tokens go on, and nothing shows in its answer") {
  inference_settings one_place;
  one_place.sequences_running_max = 1;
  for (const auto& settings : {inference_settings{}, one_place}) {
    bench b = holding(settings);
    const job_wish constrained = asking("constrained", 3);
    const job_wish early{.id = "early", .tokens_max = 30}, late{.id = "late", .tokens_max = 9};
    b.say(start_message(early));
    b.turn();
    b.say(start_message(constrained));
    b.say(start_message(late));
    b.run();
    CHECK(b.of(early).finished);
    CHECK(b.of(late).finished);
    CHECK(b.of(late).ids == at_once(late).ids);
    CHECK(b.of(constrained).ids.empty());
    CHECK(!b.of(constrained).ended());
    CHECK(!b.core.has_work());
    b.compile();
    b.run();
    check_equal(b.of(constrained), at_once(constrained));
    CHECK(b.refusals.empty());
  }
}

TEST_CASE("equal constraints are made once, one at a time, and the newest are kept") {
  bench b = holding();
  std::vector<job_wish> jobs;
  for (const char* id : {"a", "b", "c"}) jobs.push_back(asking(id, 3));
  jobs.push_back(of_kind("other", "true"));
  for (const job_wish& job : jobs) b.say(start_message(job));
  CHECK(b.compiles.size() == 1);
  b.compile();
  CHECK(b.compiles.size() == 2);  // the other one
  b.run();
  for (int i = 0; i < 3; ++i)
    check_equal(b.of(jobs[static_cast<std::size_t>(i)]),
                at_once(jobs[static_cast<std::size_t>(i)]));
  CHECK(!b.of(jobs[3]).ended());
  b.compile();
  b.run();
  check_equal(b.of(jobs[3]), at_once(jobs[3]));

  b.holds_compiles = false;
  const auto asked_for = [&](const job_wish& job) {
    const std::size_t before = b.compiles.size();
    b.say(start_message(job));
    b.run();
    CHECK(b.of(job).ended());
    return b.compiles.size() - before;
  };
  CHECK(asked_for(asking("again", 8)) == 0);
  for (std::size_t i = 0; i < answer_constraints::kept_max; ++i)
    CHECK(asked_for(of_kind("new-" + std::to_string(i), std::to_string(i) + ", true")) == 1);
  CHECK(asked_for(asking("forgotten", 8)) == 1);
}

TEST_CASE("who goes while the constraint is made is gone, and its wish with it") {
  bench b = holding();
  const job_wish first = of_kind("first", "true"), stopped = of_kind("stopped", "false"),
                 also = of_kind("also", "false");
  job_wish hurried = of_kind("hurried", "null");
  hurried.deadline_ms = 50;
  job_wish abandoned = of_kind("abandoned", "true, false");
  abandoned.gateway = "other-gate";
  for (const job_wish& job : {first, stopped, also, hurried, abandoned}) b.say(start_message(job));

  b.say(stop_message(stopped));
  REQUIRE(b.of(stopped).finished);
  CHECK(b.of(stopped).finished->reason() == proto::CANCELLED_BY_CLIENT);
  CHECK(b.of(stopped).finished->answer_tokens() == 0);
  b.now += time_point_us{60'000};
  b.take(b.core.tick(b.now));
  REQUIRE(b.of(hurried).failed);
  CHECK(b.of(hurried).failed->error().code() == proto::Error::DEADLINE_EXCEEDED);
  b.take(b.core.lose_node("other-gate", b.now));

  b.compile();
  REQUIRE(b.compiles.size() == 2);  // "also" is the only one left that waits
  CHECK(b.compiles.back().asked.json_schema() == also.schema);
  b.compile();
  CHECK(b.compiles.size() == 2);
  b.run();
  check_equal(b.of(first), at_once(first));
  check_equal(b.of(also), at_once(also));
  CHECK(!b.of(abandoned).ended());
  CHECK(b.of(stopped).broken.empty());
  CHECK(b.core.count().waiting == 0);
  CHECK(b.core.count().running == 0);
  CHECK(b.core.blocks_of("model").first == b.core.blocks_of("model").second);
}

TEST_CASE(
    "an attempt that goes on elsewhere waits there for its constraint, forced tokens and all") {
  const job_wish whole = asking("whole", 3);
  const std::vector<kernels::token_id> ids = at_once(whole).ids;
  REQUIRE(ids.size() >= 4);
  for (std::size_t held = 0; held <= ids.size(); ++held) {
    bench b = holding();
    job_wish rest = asking("rest", 3);
    rest.forced.assign(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(held));
    b.say(start_message(rest));
    b.run();
    CHECK(!b.of(rest).ended());
    b.compile();
    b.run();
    REQUIRE(b.of(rest).finished);
    std::vector<kernels::token_id> all = rest.forced;
    all.insert(all.end(), b.of(rest).ids.begin(), b.of(rest).ids.end());
    CHECK(all == ids);
  }
}

TEST_CASE("a constraint that cannot be made refuses all who wait for it, by its place") {
  bench b = holding();
  job_wish wrong = asking("wrong", 1), also = asking("also", 1);
  wrong.schema = also.schema = R"({"type": "object", "properties": {"a": {"type": "frog"}}})";
  const job_wish plain{.id = "plain"};
  for (const job_wish& job : {wrong, also, plain}) b.say(start_message(job));
  b.run();
  CHECK(b.of(plain).finished);
  CHECK(!b.of(wrong).ended());
  b.compile();
  for (const job_wish& job : {wrong, also}) {
    REQUIRE(b.of(job).failed);
    CHECK(b.of(job).failed->error().code() == proto::Error::INVALID_ARGUMENT);
    CHECK(b.of(job).failed->error().message().find("/properties/a") != std::string::npos);
  }
  CHECK(b.core.count().waiting == 0);
}

TEST_CASE("a model that is loaded anew while a constraint is made still knows what it may say") {
  bench b = holding();
  b.say(start_message(asking("before", 3)));
  b.compile();
  b.run();  // the masks are there from here on
  const job_wish other = of_kind("other", "true");
  b.say(start_message(other));
  auto unload = letter("here", "model_loader", "inference", 3);
  unload->mutable_unload_engine()->set_model_digest("model");
  b.say(unload);
  CHECK(b.of(other).failed);
  b.add_model("model", 64, 128);
  const job_wish again = of_kind("again", "true");
  b.say(start_message(again));
  CHECK(b.compiles.size() == 2);
  b.compile();  // without masks, which the earlier loading had
  CHECK(b.compiles.size() == 3);
  b.compile();
  b.run();
  check_equal(b.of(again), at_once(again));
}
