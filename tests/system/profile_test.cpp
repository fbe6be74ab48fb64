// A flame graph of a real daemon while it computes, asked for at another node.
#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "cluster/client/observing.hpp"
#include "nodes.hpp"
#include "run_troupe.hpp"

using namespace system_test;
using troupe::error_code;

namespace {

told profile(std::vector<std::string> words) {
  words.insert(words.begin(), "profile");
  return run_troupe(std::move(words));
}

// Computes, one job after the other, until it goes.
class busy_node {
 public:
  explicit busy_node(const node& of) : at_(of.connect()) {
    thread_ = std::thread([this] {
      while (!over_) {
        troupe::client::job job = job_of("Once upon a time", 400);
        job.cache_bypass = true;
        if (ask(*at_, job).failure) ++failed_;
      }
    });
  }
  ~busy_node() {
    over_ = true;
    thread_.join();
    CHECK(failed_ == 0);
  }

 private:
  std::unique_ptr<troupe::client::cluster> at_;
  std::atomic<bool> over_{false};
  std::atomic<int> failed_{0};
  std::thread thread_;
};

std::size_t lines_with(const std::string& text, const std::string& what) {
  std::size_t out = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
    ++out;
    at = text.find('\n', at);
  }
  return out;
}

}  // namespace

TEST_CASE("a profile of a node that computes shows its engine, whichever node is asked for it") {
  node pc1({.name = "pc1", .preloads = true});
  REQUIRE_MESSAGE(pc1.ready(), pc1.errors());
  node pc2({.name = "pc2", .peers = {pc1.address()}, .has_model = false});
  REQUIRE_MESSAGE(pc2.ready(), pc2.errors());
  auto at_pc2 = pc2.connect();
  REQUIRE(nodes_up(*at_pc2, 1));
  REQUIRE(model_ready(*at_pc2, "pc1"));
  const scratch_folder folder;
  const busy_node busy(pc1);

  const told folded = profile({"--node", "pc1", "--seconds", "1", "--folded", "--at", pc2.at()});
  REQUIRE_MESSAGE(folded.code == 0, folded.errors);
  CHECK_MESSAGE(lines_with(folded.output, ";actor inference;") > 0, folded.output, folded.errors);
  CHECK_MESSAGE(lines_with(folded.output, "troupe::kernels::") > 0, folded.output);
  CHECK(folded.errors.find("pc1: processor time") != std::string::npos);
  CHECK(pc1.log().find("profile_begins kind=cpu seconds=1 asked_by=pc2") != std::string::npos);

  const std::string file = (folder.path() / "pc1.svg").string();
  told drawn, refused;
  std::thread first([&] {
    drawn = profile({"--node", "pc1", "--seconds", "2", "--out", file, "--at", pc1.at()});
  });
  CHECK(eventually([&] { return pc1.log().find("seconds=2") != std::string::npos; }));
  refused = profile({"--node", "pc1", "--seconds", "1", "--at", pc2.at()});
  first.join();
  CHECK(refused.code != 0);
  CHECK_MESSAGE(refused.errors.find("pc1 is being profiled already") != std::string::npos,
                refused.errors);
  REQUIRE_MESSAGE(drawn.code == 0, drawn.errors);
  CHECK(drawn.output == "wrote " + file + "\n");
  const std::string svg = content_of(file);
  CHECK(svg.starts_with("<?xml"));
  CHECK(svg.find("actor inference (") != std::string::npos);
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(pc1.log().find("panic") == std::string::npos);
  CHECK(pc1.log().find("node_lost") == std::string::npos);
}

TEST_CASE("a heap profile looks at the daemon's allocations, or tells that the build cannot") {
  node pc1({.name = "pc1", .preloads = true});
  REQUIRE_MESSAGE(pc1.ready(), pc1.errors());
  auto at = pc1.connect();
  REQUIRE(model_ready(*at, "pc1"));
  told heap;
  {
    const busy_node busy(pc1);
    heap = profile({"--seconds", "3", "--heap", "--json", "--at", pc1.at()});
  }
  CHECK(!ask(*at, job_of("and it serves on")).failure);
  if (heap.errors.find("sanitizer") != std::string::npos) {
    CHECK(heap.code == 3);
    return;
  }
  REQUIRE_MESSAGE(heap.code == 0, heap.errors);
  const auto document = nlohmann::json::parse(heap.output);
  CHECK(document["kind"] == "profile_heap");
  CHECK(document["unit"] == "bytes");
  CHECK_MESSAGE(document["samples"] > 0, heap.output);
  CHECK(document["folded"].get<std::string>().find("operator new") == std::string::npos);
}

TEST_CASE("profiles of nodes that are not there, and of no or too many seconds, are refused") {
  node pc1({.name = "pc1"});
  REQUIRE_MESSAGE(pc1.ready(), pc1.errors());
  const told unknown = profile({"--node", "pc9", "--seconds", "1", "--at", pc1.at()});
  CHECK(unknown.code == 3);
  CHECK_MESSAGE(unknown.errors.find("no node pc9 is up") != std::string::npos, unknown.errors);
  for (const char* seconds : {"0", "61"}) {
    CHECK(profile({"--seconds", seconds, "--at", pc1.at()}).code == 2);
    auto observer = troupe::client::observer::open(pc1.at(), {milliseconds(10'000)});
    REQUIRE(observer);
    troupe::proto::ReadProfile asked;
    asked.set_seconds(static_cast<std::uint32_t>(std::stoi(seconds)));
    const auto refused = (*observer)->profile(asked, milliseconds(10'000));
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().code == error_code::invalid_argument);
  }
  CHECK(profile({"--seconds", "1", "--out", "/nowhere/at.svg", "--at", pc1.at()}).code == 3);
}

TEST_CASE("a node that is asked to end does not wait for a profile") {
  node pc1({.name = "pc1"});
  REQUIRE_MESSAGE(pc1.ready(), pc1.errors());
  told cut;
  std::thread asks([&] { cut = profile({"--seconds", "60", "--at", pc1.at()}); });
  CHECK(eventually([&] { return pc1.log().find("profile_begins") != std::string::npos; }));
  const auto told_at = std::chrono::steady_clock::now();
  pc1.process().signal(SIGTERM);
  const auto code = pc1.process().wait(milliseconds(20'000));
  pc1.kill();
  asks.join();
  REQUIRE(code);
  CHECK(*code == 0);
  CHECK(cut.code == 4);
  CHECK(std::chrono::steady_clock::now() - told_at < std::chrono::seconds(40));  // not 60
}
