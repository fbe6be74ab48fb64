// Invented stories, right ones and wrong ones: a checker that accepts everything proves nothing.
#include "tools/chaos/story.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "tools/chaos/report.hpp"

namespace troupe::chaos {
namespace {

constexpr floor_plan no_floors{0, 0, 0};

job_story whole_job(std::uint32_t prompt, const right_answer& right, microseconds begun) {
  job_story job;
  job.id = "j" + std::to_string(prompt);
  job.prompt = prompt;
  job.submitted = begun;
  job.accepted = job.whole = true;
  job.attempts = 1;
  for (std::uint32_t i = 0; i < right.ids.size(); ++i)
    job.tokens.push_back({i, right.ids[i], begun + microseconds(1000) * (i + 1)});
  job.text = right.text;
  job.ended = job.tokens.back().at;
  return job;
}

run_story right_run() {
  run_story run;
  run.answers = {{{1, 2, 3, 4}, "abcd"}, {{5, 6, 7}, "xyz"}};
  run.jobs = {whole_job(0, run.answers[0], microseconds(0)),
              whole_job(1, run.answers[1], microseconds(10'000))};
  run.jobs[1].attempts = 2;
  for (std::size_t i = 1; i < 3; ++i) run.jobs[1].tokens[i].at += microseconds(300'000);
  run.jobs[1].ended += microseconds(300'000);
  run.faults = {{{fault_kind::kill, "b", milliseconds(11), milliseconds(20)},
                 microseconds(11'500),
                 microseconds(20'000)}};
  run.lasted = microseconds(400'000);
  return run;
}

TEST_CASE("an undisturbed story passes, with its figures") {
  const verdict v = judge(right_run(), {2, 1, 1});
  CHECK(v.passed());
  CHECK(v.finished == 2);
  CHECK(v.tokens == 7);
  CHECK(v.moved == 1);
  CHECK(v.faults_in_flight == 1);
  CHECK(v.stalls.count == 1);
  CHECK(v.stalls.most == doctest::Approx(0.301));
  CHECK(v.first_tokens.count == 2);
}

TEST_CASE("whatever is changed in a story is found") {
  struct mutation {
    const char* what;
    std::function<void(run_story&)> change;
    std::function<std::size_t(const verdict&)> counted;
  };
  const std::vector<mutation> mutations = {
      {"a token is missing",
       [](run_story& r) { r.jobs[0].tokens.erase(r.jobs[0].tokens.begin() + 1); },
       [](const verdict& v) { return v.tokens_lost; }},
      {"the last token is missing", [](run_story& r) { r.jobs[0].tokens.pop_back(); },
       [](const verdict& v) { return v.tokens_lost; }},
      {"a token comes twice", [](run_story& r) { r.jobs[0].tokens.push_back(r.jobs[0].tokens[3]); },
       [](const verdict& v) { return v.tokens_repeated; }},
      {"two tokens change places",
       [](run_story& r) { std::swap(r.jobs[0].tokens[1], r.jobs[0].tokens[2]); },
       [](const verdict& v) { return v.tokens_repeated; }},
      {"a token is another", [](run_story& r) { r.jobs[1].tokens[2].id = 9; },
       [](const verdict& v) { return v.tokens_changed; }},
      {"a token too many",
       [](run_story& r) {
         r.jobs[1].tokens.push_back({3, 8, r.jobs[1].ended});
       },
       [](const verdict& v) { return v.tokens_changed; }},
      {"another job's answer", [](run_story& r) { std::swap(r.jobs[0].tokens, r.jobs[1].tokens); },
       [](const verdict& v) { return v.tokens_changed; }},
      {"the text is another", [](run_story& r) { r.jobs[0].text = "abce"; },
       [](const verdict& v) { return v.texts_changed; }},
      {"a job never ends", [](run_story& r) { r.jobs[0].whole = false; },
       [](const verdict& v) { return v.lost; }},
      {"a refused job has tokens", [](run_story& r) { r.jobs[0].accepted = false; },
       [](const verdict& v) { return v.refused; }},
  };
  for (const mutation& one : mutations) {
    CAPTURE(one.what);
    run_story run = right_run();
    one.change(run);
    const verdict v = judge(run, no_floors);
    CHECK_FALSE(v.passed());
    CHECK(one.counted(v) > 0);
    CHECK_FALSE(v.violations.empty());
  }
}

TEST_CASE("a run with too little in it is invalid, not passed") {
  const run_story run = right_run();
  CHECK(judge(run, {2, 1, 1}).passed());
  for (const floor_plan floors : {floor_plan{3, 1, 1}, {2, 2, 1}, {2, 1, 2}}) {
    const verdict v = judge(run, floors);
    CHECK_FALSE(v.valid());
    CHECK_FALSE(v.passed());
  }
  run_story early = run;
  early.faults[0].began = microseconds(390'000);  // nothing ran any more
  CHECK_FALSE(judge(early, {2, 1, 1}).valid());
}

TEST_CASE("a report tells the outcome in each of its forms") {
  run_report report;
  report.plan.name = "p<1>";
  report.plan.nodes = {{"a", true}, {"b", true}};
  report.plan.workload.streams = 1;
  report.run = right_run();
  report.judged = judge(report.run, {2, 1, 1});
  CHECK(told_in_text(report).find("2 finished, 0 refused, 0 lost, 1 moved") != std::string::npos);
  CHECK(told_in_json(report).find("\"outcome\": \"passed\"") != std::string::npos);
  const std::string page = told_in_html(report);
  CHECK(page.find("<svg") != std::string::npos);
  CHECK(page.find("p&lt;1&gt;") != std::string::npos);
  CHECK(page.find("p<1>") == std::string::npos);
  report.run.jobs[0].text = "";
  report.judged = judge(report.run, {2, 1, 1});
  CHECK(told_in_text(report).find("VIOLATED: job j0 has another text") != std::string::npos);
}

}  // namespace
}  // namespace troupe::chaos
