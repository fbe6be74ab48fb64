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
