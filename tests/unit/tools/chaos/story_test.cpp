// Invented stories, right ones and wrong ones: a checker that accepts everything proves nothing.
#include "tools/chaos/story.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <nlohmann/json.hpp>

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

fault_story fault_at(fault_kind kind, const std::string& node, int from_us, int to_us) {
  fault_story out;
  out.done.kind = kind;
  out.done.node = node;
  out.began = microseconds(from_us);
  out.standing = microseconds(from_us + 1);
  out.ending = microseconds(to_us - 1);
  out.ended = microseconds(to_us);
  return out;
}

run_story right_run() {
  run_story run;
  run.answers = {{{1, 2, 3, 4}, "abcd"}, {{5, 6, 7}, "xyz"}};
  run.jobs = {whole_job(0, run.answers[0], microseconds(0)),
              whole_job(1, run.answers[1], microseconds(10'000))};
  run.jobs[1].attempts = 2;
  for (std::size_t i = 1; i < 3; ++i) run.jobs[1].tokens[i].at += microseconds(300'000);
  run.jobs[1].ended += microseconds(300'000);
  run.faults = {fault_at(fault_kind::kill, "b", 11'500, 20'000)};
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

// A gateway's disk was full from 20 ms to 60 ms: one job came before, one was refused, one came
// after.
run_story full_disk_run() {
  run_story run;
  run.answers = {{{1, 2, 3, 4}, "abcd"}};
  for (const int begun : {0, 30'000, 70'000}) {
    run.jobs.push_back(whole_job(0, run.answers[0], microseconds(begun)));
    run.jobs.back().accepted_at = microseconds(begun + 500);
    run.jobs.back().gateway = "g";
  }
  run.jobs[1] = {};
  run.jobs[1].submitted = microseconds(30'000);
  run.jobs[1].ended = microseconds(31'000);
  run.jobs[1].failure = error{error_code::resource_exhausted, "full", ""};
  run.faults = {fault_at(fault_kind::disk_full, "g", 20'000, 60'000)};
  run.lasted = microseconds(100'000);
  run.streams = 1;
  run.healed = microseconds(60'000);
  return run;
}

TEST_CASE("nothing is acknowledged on a full disk; a run in which none was refused shows nothing") {
  CHECK(judge(full_disk_run(), no_floors).passed());
  CHECK(judge(full_disk_run(), no_floors).refused_full == 1);

  run_story early = full_disk_run();
  early.jobs[1] = early.jobs[2];
  early.jobs[1].submitted = microseconds(30'000);
  early.jobs[1].accepted_at = microseconds(31'000);
  const verdict v = judge(early, no_floors);
  CHECK(v.acknowledged_full == 1);
  CHECK_FALSE(v.violations.empty());
  CHECK_FALSE(v.valid());  // and nobody was refused
  early.jobs[1].gateway = "another";
  CHECK(judge(early, no_floors).acknowledged_full == 0);
  early.jobs[1].gateway = "g";
  early.jobs[1].accepted_at = microseconds(61'000);  // it waited
  CHECK(judge(early, no_floors).acknowledged_full == 0);

  run_story other_reason = full_disk_run();
  other_reason.jobs[1].failure->code = error_code::unavailable;
  CHECK_FALSE(judge(other_reason, no_floors).valid());
}

TEST_CASE("who got no answer after everything was healed is found") {
  run_story run = full_disk_run();
  run.streams = 2;
  CHECK_FALSE(judge(run, no_floors).passed());
  CHECK(judge(run, no_floors).violations.at(0) ==
        "client 1 got no answer after everything was healed");
  run.streams = 1;
  run.jobs[2].submitted = microseconds(59'000);
  CHECK_FALSE(judge(run, no_floors).passed());
  run.healed.reset();  // it was interrupted
  CHECK(judge(run, no_floors).passed());
}

TEST_CASE("a side of a partition that serves nobody is found") {
  run_story run = full_disk_run();
  run.faults = {fault_at(fault_kind::partition, "g", 69'000, 90'000)};
  run.gateways = {"g"};
  floor_plan floors = no_floors;
  floors.jobs_per_side = 1;
  CHECK(judge(run, floors).passed());
  run.gateways = {"g", "h"};
  const verdict v = judge(run, floors);
  REQUIRE(v.violations.size() == 1);
  CHECK(v.violations[0].starts_with("gateway h answered 0 jobs while g was cut off"));
  CHECK(judge(run, no_floors).passed());
  run.gateways = {"g"};
  run.faults[0].ending = run.jobs[2].ended - microseconds(1);  // it ended too late to count
  CHECK_FALSE(judge(run, floors).passed());
}

TEST_CASE("a clock that nobody read was not stepped; who does not read waits by his own will") {
  run_story run = full_disk_run();
  run.faults = {fault_at(fault_kind::clock_step, "g", 20'000, 60'000)};
  CHECK_FALSE(judge(run, no_floors).valid());
  run.clock_reads = 1;
  CHECK(judge(run, no_floors).passed());

  run = right_run();
  CHECK(judge(run, no_floors).stalls.count == 1);
  run.faults.push_back(fault_at(fault_kind::slow_reader, "client 0", 12'000, 200'000));
  CHECK(judge(run, no_floors).stalls.count == 0);
  run.faults.back().done.node = "client 1";
  CHECK(judge(run, no_floors).stalls.count == 1);
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
  const auto timeline = nlohmann::json::parse(told_in_json(report))["timeline"];
  CHECK(timeline["nodes"] == nlohmann::json({"a", "b"}));
  CHECK(timeline["streams"] == 1);
  CHECK(timeline["faults"].size() == report.run.faults.size());
  CHECK(timeline["faults"][0]["ended_s"] > timeline["faults"][0]["began_s"]);
  REQUIRE(timeline["jobs"].size() == report.run.jobs.size());
  for (std::size_t i = 0; i < report.run.jobs.size(); ++i) {
    CHECK(timeline["jobs"][i]["id"] == report.run.jobs[i].id);
    CHECK(timeline["jobs"][i]["tokens"] == report.run.jobs[i].tokens.size());
    CHECK(timeline["jobs"][i]["outcome"] == (report.run.jobs[i].moved() ? "moved" : "whole"));
    CHECK(timeline["jobs"][i]["flows"].size() >= 1);
  }
  CHECK(timeline["jobs_left_out"] == 0);
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
