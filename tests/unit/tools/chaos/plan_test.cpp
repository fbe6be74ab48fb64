#include "tools/chaos/plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "tools/chaos/schedule.hpp"
#include "tools/local/processes.hpp"

namespace troupe::chaos {
namespace {

const std::string small = R"({
  "name": "small", "seed": 3, "seconds": 20, "redis": true,
  "nodes": [{"name": "a", "computes": false}, {"name": "b"}, {"name": "c"}, {"name": "d"}],
  "workload": {"streams": 2, "tokens": 32},
  "faults": [{"kind": "kill", "nodes": ["b", "c", "d"], "first_ms": 500, "every_ms": 700, "lasts_ms": 900},
             {"kind": "pause", "nodes": ["b", "c", "d"], "first_ms": 600, "every_ms": 900, "lasts_ms": 700},
             {"kind": "delay", "nodes": ["a"], "first_ms": 1000, "every_ms": 3000, "lasts_ms": 500},
             {"kind": "redis_flush", "first_ms": 1000, "every_ms": 1000, "lasts_ms": 10}]
})";

std::string with(const std::string& from, const std::string& to) {
  std::string out = small;
  const std::size_t at = out.find(from);
  REQUIRE(at != std::string::npos);
  return out.replace(at, from.size(), to);
}

std::string refusal_of(const std::string& text) {
  const auto plan = read_plan(text, "p.json");
  return plan ? "" : plan.failure().message;
}

TEST_CASE("a plan is read, and what it leaves out has its default") {
  const auto plan = read_plan(small, "p.json");
  REQUIRE(plan);
  CHECK(plan->name == "small");
  CHECK(plan->seed == 3);
  CHECK(plan->lasts == milliseconds(20'000));
  REQUIRE(plan->nodes.size() == 4);
  CHECK_FALSE(plan->nodes[0].computes);
  CHECK(plan->nodes[1].computes);
  CHECK(plan->workload.streams == 2);
  CHECK(plan->workload.prompts == workload_plan{}.prompts);
  CHECK(plan->workload.gateways == std::vector<std::string>{"a"});
  REQUIRE(plan->faults.size() == 4);
  CHECK(plan->faults[0].kind == fault_kind::kill);
  CHECK(plan->faults[0].every == milliseconds(700));
}

TEST_CASE("a plan that makes no sense is refused with the place and the reason") {
  CHECK(refusal_of("{") == "p.json is not JSON");
  CHECK(refusal_of("[]") == "p.json is no object");
  CHECK(refusal_of(with("\"seed\": 3", "\"sead\": 3")) == "p.json.sead is unknown");
  CHECK(
      refusal_of(with("\"seconds\": 20", "\"seconds\": 0")).starts_with("p.json.seconds must be"));
  CHECK(refusal_of(with("\"name\": \"b\"", "\"name\": \"../b\""))
            .starts_with("p.json.nodes[1].name must be"));
  CHECK(refusal_of(with("{\"name\": \"c\"}", "{\"name\": \"b\"}")) ==
        "p.json.nodes[2].name stands twice: b");
  CHECK(refusal_of(with("\"kill\"", "\"explode\""))
            .starts_with("p.json.faults[0].kind must be one of kill,"));
  CHECK(refusal_of(with("[\"a\"]", "[\"x\"]")) ==
        "p.json.faults[2].nodes names an unknown node: x");
  CHECK(refusal_of(with("\"redis\": true", "\"redis\": false")) ==
        "p.json.faults[3].kind needs \"redis\": true in the plan");
  CHECK(refusal_of(with("\"nodes\": [\"a\"], ", "")) == "p.json.faults[2].nodes must name nodes");
  CHECK(refusal_of(with("\"every_ms\": 700", "\"every_ms\": 7")) ==
        "p.json.faults[0].every_ms must be 0 or at least 200");
  CHECK(refusal_of(with("\"lasts_ms\": 900", "\"lasts_ms\": 900, \"lasts_max_ms\": 899")) ==
        "p.json.faults[0].lasts_max_ms must not be below lasts_ms");
  CHECK(refusal_of(with("\"nodes\": [\"a\"]", "\"nodes\": [\"a\"], \"clients\": [0]")) ==
        "p.json.faults[2].clients must be absent: this is not done to clients");
  const std::string reader = R"("kind": "slow_reader", "clients": [1])";
  const std::string delay = R"("kind": "delay", "nodes": ["a"])";
  CHECK(refusal_of(with(delay, reader)).empty());
  CHECK(refusal_of(with(delay, R"("kind": "slow_reader", "clients": [2])")) ==
        "p.json.faults[2].clients must hold numbers below workload.streams");
  CHECK(refusal_of(with(delay, R"("kind": "slow_reader")")) ==
        "p.json.faults[2].clients must number clients, from 0 on");
  CHECK(refusal_of(with(delay, R"("kind": "slow_reader", "nodes": ["a"])")) ==
        "p.json.faults[2].nodes must be absent: this is not done to nodes");
  CHECK(refusal_of(with("\"tokens\": 32", "\"tokens\": \"many\""))
            .starts_with("p.json.workload.tokens must be"));
  CHECK(refusal_of(R"({"nodes": [{"name": "a", "computes": false}]})") ==
        "p.json: no node computes");
}

TEST_CASE("the plans that come with the project can be read") {
  std::size_t plans = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(TROUPE_SOURCE_DIR "/tools/chaos/plans")) {
    CAPTURE(file.path());
    const auto plan = read_plan(local::content_of(file.path()), file.path().filename().string());
    REQUIRE(plan);
    const std::vector<fault> faults = schedule_of(*plan);
    CHECK(faults.size() >= plan->floors.faults);
    for (const fault_plan& wish : plan->faults)  // none is squeezed out by the others
      CHECK(std::any_of(faults.begin(), faults.end(),
                        [&](const fault& f) { return f.kind == wish.kind; }));
    ++plans;
  }
  CHECK(plans >= 4);
}

TEST_CASE("a schedule belongs to its seed, and never takes out more than half of the nodes") {
  auto plan = read_plan(small, "p.json");
  REQUIRE(plan);
  const auto shape = [](const std::vector<fault>& faults) {
    std::string out;
    for (const fault& f : faults)
      out += std::string(name_of(f.kind)) + f.node + std::to_string(f.begins.count()) + " ";
    return out;
  };
  const std::string first = shape(schedule_of(*plan));
  CHECK(shape(schedule_of(*plan)) == first);
  std::size_t outs_together = 0;
  for (plan->seed = 1; plan->seed <= 200; ++plan->seed) {
    const std::vector<fault> faults = schedule_of(*plan);
    CHECK((plan->seed == 3) == (shape(faults) == first));
    for (const fault& f : faults) {
      CHECK(f.begins < f.ends);
      CHECK(f.ends <= plan->lasts);
      std::size_t out = 0, same = 0;
      for (const fault& other : faults) {
        const bool then = other.begins <= f.begins && f.begins < other.ends;
        out += then && takes_out(other.kind);
        same += then && other.node == f.node;
      }
      CHECK(out <= 2);
      CHECK(same == 1);
      outs_together = std::max(outs_together, out);
    }
  }
  CHECK(outs_together == 2);
}

TEST_CASE("in somebody's cluster the last one that computes stays, and half of the nodes") {
  auto plan = read_plan(with("\"name\": \"d\"", "\"name\": \"d\", \"computes\": false"), "p.json");
  REQUIRE(plan);
  bool both_workers_out = false;
  for (plan->seed = 1; plan->seed <= 100; ++plan->seed) {
    for (const care taken : {care::ours, care::somebody}) {
      const std::vector<fault> faults = schedule_of(*plan, taken);
      CHECK(faults.size() >= 5);
      for (const fault& f : faults) {
        std::size_t out = 0, workers = 0;
        for (const fault& other : faults) {
          if (!takes_out(other.kind) || other.begins > f.begins || f.begins >= other.ends) continue;
          ++out;
          workers += other.node == "b" || other.node == "c";
        }
        CHECK(out <= 2);
        if (taken == care::somebody) CHECK(workers < 2);
        both_workers_out |= workers == 2;
      }
    }
  }
  CHECK(both_workers_out);  // where nobody cares
  plan->nodes = {{"b", true}};
  for (fault_plan& wish : plan->faults) wish.nodes = {"b"};
  for (const fault& f : schedule_of(*plan, care::somebody)) CHECK_FALSE(takes_out(f.kind));
}

TEST_CASE("how long a fault lasts and which way a clock steps is drawn") {
  auto plan = read_plan(R"({"name": "p", "seconds": 200, "nodes": [{"name": "a"}], "faults": [
    {"kind": "clock_step", "nodes": ["a"], "every_ms": 2000, "lasts_ms": 100, "lasts_max_ms": 900}]})",
                        "p.json");
  REQUIRE(plan);
  const std::vector<fault> faults = schedule_of(*plan);
  REQUIRE(faults.size() > 50);
  std::size_t forward = 0;
  milliseconds shortest{1'000}, longest{0};
  for (const fault& f : faults) {
    CHECK((f.step == milliseconds(60'000) || f.step == milliseconds(-60'000)));
    forward += f.step.count() > 0;
    shortest = std::min(shortest, f.ends - f.begins);
    longest = std::max(longest, f.ends - f.begins);
  }
  CHECK(forward > 0);
  CHECK(forward < faults.size());
  CHECK(shortest >= milliseconds(100));
  CHECK(longest <= milliseconds(900));
  CHECK(longest - shortest > milliseconds(300));
}

}  // namespace
}  // namespace troupe::chaos
