// A node's profile, asked for at any node.
#include <doctest/doctest.h>

#include "actors/monitoring/monitoring_core.hpp"
#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

std::shared_ptr<proto::Envelope> wish(const std::string& node, std::uint32_t seconds,
                                      std::uint64_t correlation = 5) {
  auto out = letter("client-1", "client", "monitoring", correlation);
  out->mutable_read_profile()->set_node(node);
  out->mutable_read_profile()->set_seconds(seconds);
  out->mutable_read_profile()->set_kind(proto::PROFILE_HEAP);
  return out;
}

struct fixture {
  monitoring_core core;
  time_point_us now{1'000'000};
  fixture()
      : core([] {
          monitoring_settings out;
          out.node = "here";
          return out;
        }()) {
    core.nodes_changed({{"here", true}, {"b", true}, {"gone", false}}, now);
  }
};

}  // namespace

TEST_CASE("a profile of this node is its own to take, whoever asks") {
  fixture f;
  for (const auto& request : {wish("", 1), wish("here", 60)}) {
    const auto out = f.core.step(request, f.now);
    CHECK(out.posts.empty());
    REQUIRE(out.profiles.size() == 1);
    CHECK(out.profiles[0] == request);
  }
  auto passed_on = wish("other name", 3);
  passed_on->mutable_read_profile()->set_own_only(true);
  CHECK(f.core.step(passed_on, f.now).profiles.size() == 1);
}

TEST_CASE("seconds out of bounds, unknown kinds and nodes that are not up are refused") {
  fixture f;
  for (const std::uint32_t seconds : {0u, 61u, 4'000'000'000u}) {
    const auto out = f.core.step(wish("b", seconds), f.now);
    REQUIRE(out.posts.size() == 1);
    CHECK(out.posts[0]->error().code() == proto::Error::INVALID_ARGUMENT);
    CHECK(out.posts[0]->error().mend().find("1 to 60") != std::string::npos);
    CHECK(out.profiles.empty());
  }
  auto odd = wish("", 1);
  odd->mutable_read_profile()->set_kind(static_cast<proto::ProfileKind>(7));
  CHECK(f.core.step(odd, f.now).posts[0]->error().code() == proto::Error::INVALID_ARGUMENT);
  for (const char* node : {"gone", "nobody"}) {
    const auto out = f.core.step(wish(node, 1), f.now);
    REQUIRE(out.posts.size() == 1);
    CHECK(out.posts[0]->error().code() == proto::Error::NOT_FOUND);
    CHECK(out.posts[0]->target().node() == "client-1");
  }
}

TEST_CASE("another node's profile is asked of that node, and passed back") {
  fixture f;
  const auto out = f.core.step(wish("b", 7, 42), f.now);
  REQUIRE(out.posts.size() == 1);
  const proto::Envelope& question = *out.posts[0];
  CHECK(question.target().node() == "b");
  CHECK(question.target().actor() == "monitoring");
  CHECK(question.read_profile().own_only());
  CHECK(question.read_profile().seconds() == 7);
  CHECK(question.read_profile().kind() == proto::PROFILE_HEAP);
  CHECK(question.deadline_ms() == 17'000);
  auto told = std::make_shared<proto::Envelope>(reply_to(question));
  told->mutable_node_profile()->set_folded("a;b 1\n");
  const auto passed = f.core.step(told, f.now);
  REQUIRE(passed.posts.size() == 1);
  CHECK(passed.posts[0]->target().node() == "client-1");
  CHECK(passed.posts[0]->correlation() == 42);
  CHECK(passed.posts[0]->node_profile().folded() == "a;b 1\n");
  CHECK(f.core.step(told, f.now).posts.empty());  // once
}

TEST_CASE("what the other node refuses is passed back; what is nonsense is said to be") {
  fixture f;
  const auto out = f.core.step(wish("b", 7), f.now);
  const auto refused =
      f.core.step(refuse(*out.posts[0], proto::Error::ALREADY_EXISTS, "busy", "wait"), f.now);
  REQUIRE(refused.posts.size() == 1);
  CHECK(refused.posts[0]->error().code() == proto::Error::ALREADY_EXISTS);
  CHECK(refused.posts[0]->error().mend() == "wait");
  const auto again = f.core.step(wish("b", 7), f.now);
  auto odd = std::make_shared<proto::Envelope>(reply_to(*again.posts[0]));
  odd->mutable_log_part();
  CHECK(f.core.step(odd, f.now).posts[0]->error().code() == proto::Error::INTERNAL);
}

TEST_CASE("who asked hears when the other node goes, and when it is late") {
  fixture f;
  (void)f.core.step(wish("b", 7), f.now);
  CHECK(f.core.tick(f.now + std::chrono::seconds(16)).posts.empty());
  const auto late = f.core.tick(f.now + std::chrono::seconds(17));
  REQUIRE(late.posts.size() == 1);
  CHECK(late.posts[0]->error().code() == proto::Error::DEADLINE_EXCEEDED);
  (void)f.core.step(wish("b", 60), f.now);
  f.core.nodes_changed({{"here", true}, {"b", false}}, f.now);
  const auto gone = f.core.tick(f.now + std::chrono::seconds(1));
  REQUIRE(gone.posts.size() == 1);
  CHECK(gone.posts[0]->error().code() == proto::Error::UNAVAILABLE);
  CHECK(f.core.tick(f.now + std::chrono::seconds(90)).posts.empty());
}

TEST_CASE("no more than a few wait for other nodes at once") {
  fixture f;
  for (std::size_t i = 0; i < profile_relay::waiting_max; ++i)
    CHECK(f.core.step(wish("b", 1), f.now).posts[0]->has_read_profile());
  CHECK(f.core.step(wish("b", 1), f.now).posts[0]->error().code() ==
        proto::Error::RESOURCE_EXHAUSTED);
  CHECK(f.core.step(wish("", 1), f.now).profiles.size() == 1);
}
