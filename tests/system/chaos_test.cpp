// Nodes that break themselves when they are asked to, where they allow it.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "cluster/client/chaos.hpp"
#include "nodes.hpp"

using namespace system_test;
using troupe::error_code;
using troupe::client::node_fault;

namespace {

troupe::error failure_of(const troupe::status& done) {
  REQUIRE(!done);
  return done.failure();
}

// Starts nodes again that end because chaos asked for it, as a supervisor would.
class supervisor {
 public:
  explicit supervisor(std::vector<node*> nodes)
      : nodes_(std::move(nodes)), thread_([this] {
          while (!stopping_) {
            for (node* n : nodes_)
              if (const auto code = n->process().wait(milliseconds(0))) {
                wrong_ += *code != 75;
                n->start_again();
                ++restarts_;
              }
            ::usleep(20'000);
          }
        }) {}
  ~supervisor() { stop(); }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int restarts() const { return restarts_; }
  int wrong_codes() const { return wrong_; }

 private:
  std::vector<node*> nodes_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> restarts_{0}, wrong_{0};
  std::thread thread_;
};

std::string fixed_address() {
  return "tcp://127.0.0.1:" + std::to_string(free_port());
}

struct four_nodes {
  std::vector<std::unique_ptr<node>> all;
  explicit four_nodes(bool last_allows = true) {
    std::vector<std::string> peers;
    for (const char* name : {"alpha", "beta", "gamma", "delta"}) {
      const std::string at = fixed_address();
      const bool allows = last_allows || all.size() < 3;
      all.push_back(std::make_unique<node>(node_wish{.name = name,
                                                     .peers = peers,
                                                     .preloads = true,
                                                     .listen = at,
                                                     .chaos = allows,
                                                     .supervised = allows}));
      REQUIRE_MESSAGE(all.back()->ready(), all.back()->errors());
      peers.push_back(at);
    }
    auto at = all[0]->connect();
    REQUIRE(nodes_up(*at, 4));
    for (const char* name : {"alpha", "beta", "gamma", "delta"}) REQUIRE(model_ready(*at, name));
  }
  std::string gateways() const { return all[0]->at() + "," + all[1]->at(); }
};

}  // namespace

TEST_CASE("a node whose settings do not allow chaos refuses it by name and serves on") {
  node plain({.name = "plain"});
  REQUIRE_MESSAGE(plain.ready(), plain.errors());
  const auto leave = troupe::client::read_chaos(plain.at());
  REQUIRE_MESSAGE(leave, leave.failure().text());
  CHECK(leave->node == "plain");
  CHECK_FALSE(leave->enabled);
  for (const node_fault kind : {node_fault::pause, node_fault::partition, node_fault::slow,
                                node_fault::crash, node_fault::restart}) {
    const auto why = failure_of(troupe::client::begin_fault(plain.at(), "plain", {.kind = kind}));
    CHECK(why.code == error_code::permission_denied);
    CHECK(why.message == "node plain does not allow chaos");
  }
  CHECK(troupe::client::end_fault(plain.at(), "plain"));
  ::usleep(300'000);  // longer than a fault takes to begin
  CHECK(plain.process().running());
  auto at = plain.connect();
  CHECK(!ask(*at, job_of("Once upon a time")).failure);
  CHECK(plain.log().find("chaos_refused") != std::string::npos);
  CHECK(plain.log().find("chaos_begun") == std::string::npos);
}

TEST_CASE(
    "a fault whose tool has gone ends by itself, and the last one that computes is left alone") {
  const std::string first = fixed_address();
  node worker({.name = "worker", .listen = first, .chaos = true});
  REQUIRE_MESSAGE(worker.ready(), worker.errors());
  CHECK(failure_of(troupe::client::begin_fault(worker.at(), "worker", {})).message ==
        "node worker is the last one that computes");
  node other({.name = "other", .peers = {first}, .chaos = true});
  REQUIRE_MESSAGE(other.ready(), other.errors());
  auto at_other = other.connect();
  REQUIRE(nodes_up(*at_other, 2));
  const auto up = [&] {
    const auto status = status_of(*at_other);
    const auto* part = part_of(status, "worker");
    return part && part->at("up").get<bool>();
  };
  REQUIRE(eventually([&] {  // it has heard that the other one computes
    return troupe::client::begin_fault(worker.at(), "worker", {.lasts = milliseconds(4'000)}).ok();
  }));
  CHECK(eventually([&] { return !up(); }));
  CHECK(!ask(*at_other, job_of("Once upon a time")).failure);
  CHECK(eventually(up));
  auto at_worker = worker.connect();
  CHECK(!ask(*at_worker, job_of("Once upon a time")).failure);
  CHECK(eventually([&] { return worker.log().find("chaos_ended") != std::string::npos; }));
  const auto why =
      failure_of(troupe::client::begin_fault(worker.at(), "worker", {.kind = node_fault::crash}));
  CHECK(why.message == "node worker is not supervised: it would stay down");
}

TEST_CASE("troupe chaos run breaks a cluster that allows it, and no token is another") {
  four_nodes nodes;
  supervisor keeper({nodes.all[2].get(), nodes.all[3].get()});
  scratch_folder folder;
  child_process tool({TROUPE, "chaos", "run", "--at", nodes.gateways(), "--plan",
                      TROUPE_SOURCE_DIR "/tools/chaos/plans/running.json", "--json"},
                     folder.path() / "errors");
  std::string told;
  while (const auto line = tool.line(milliseconds(120'000))) told += *line + "\n";
  const auto code = tool.wait(milliseconds(10'000));
  keeper.stop();
  CAPTURE(told);
  CAPTURE(content_of(folder.path() / "errors"));
  REQUIRE(code);
  CHECK(*code == 0);
  const auto report = nlohmann::json::parse(told, nullptr, false);
  REQUIRE(!report.is_discarded());
  CHECK(report.at("outcome") == "passed");
  CHECK(report.at("jobs_lost") == 0);
  CHECK(report.at("tokens_changed") == 0);
  CHECK(report.at("faults").size() >= 3);  // kinds
  CHECK(keeper.restarts() >= 1);
  CHECK(keeper.wrong_codes() == 0);
  std::string logs;
  for (const auto& n : nodes.all) logs += n->log();
  CHECK(logs.find("chaos_begun fault=pause asked_by=client-") != std::string::npos);
}

TEST_CASE("troupe chaos run names the node that does not allow it, and does nothing to any") {
  four_nodes nodes(false);
  scratch_folder folder;
  child_process tool({TROUPE, "chaos", "run", "--at", nodes.gateways(), "--plan",
                      TROUPE_SOURCE_DIR "/tools/chaos/plans/running.json"},
                     folder.path() / "errors");
  const auto code = tool.wait(milliseconds(60'000));
  REQUIRE(code);
  CHECK(*code == 3);
  CHECK(content_of(folder.path() / "errors").find("node delta does not allow chaos") !=
        std::string::npos);
  for (const auto& n : nodes.all) CHECK(n->log().find("chaos_begun") == std::string::npos);
}
