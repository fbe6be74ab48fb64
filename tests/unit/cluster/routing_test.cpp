#include "cluster/gateway/routing.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "gateway_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;

namespace {

const std::string digest_b(64, 'b');

cluster_view view_of(std::vector<member> members) {
  cluster_view view;
  view.self = "home";
  view.members = std::move(members);
  return view;
}

std::string chosen(const cluster_view& view, const std::string& numerics = {},
                   const std::set<std::string>& avoid = {}) {
  const auto choice = choose_worker(view, {digest_a, numerics, &avoid, {}});
  return choice ? choice->node : "";
}

}  // namespace

TEST_CASE("a name means one digest, or the own node's, or is refused") {
  CHECK(**resolve_model(view_of({node_with("home", proto::ON_DISK, true)}), "tiny") == digest_a);
  CHECK(**resolve_model(view_of({node_with("away", proto::ON_DISK)}), digest_a) == digest_a);
  const auto two = view_of({node_with("away", proto::READY, false, "tiny", digest_b),
                            node_with("home", proto::ON_DISK, true)});
  CHECK(**resolve_model(two, "tiny") == digest_a);
  const auto strangers = view_of(
      {node_with("away", proto::READY, false, "tiny", digest_b), node_with("far", proto::READY)});
  const auto ambiguous = resolve_model(strangers, "tiny");
  REQUIRE(!ambiguous);
  CHECK(ambiguous.failure().code == error_code::invalid_argument);
  CHECK(ambiguous.failure().message.find(digest_b + " on away") != std::string::npos);
  CHECK(**resolve_model(strangers, digest_b) == digest_b);
}

TEST_CASE("an unknown model names those that are known; one on a lost node says so") {
  member down = node_with("down", proto::READY, false, "lost");
  down.up = false;
  const auto view = view_of({down, node_with("home", proto::ON_DISK, true)});
  const auto unknown = resolve_model(view, "other");
  REQUIRE(!unknown);
  CHECK(unknown.failure().code == error_code::not_found);
  CHECK(unknown.failure().mend == "known models: tiny");
  const auto lost = resolve_model(view, "lost");
  REQUIRE(!lost);
  CHECK(lost.failure().code == error_code::unavailable);
}

TEST_CASE("a name is not decided while the file that decides it has no digest yet") {
  const member unread = node_with("home", proto::ON_DISK, true, "tiny", "");
  const auto pending = [](const cluster_view& view, std::string_view wanted) {
    const auto found = resolve_model(view, wanted);
    return found && !*found;
  };
  CHECK(pending(view_of({unread}), "tiny"));
  CHECK(pending(view_of({unread}), digest_a));
  CHECK(
      pending(view_of({node_with("away", proto::READY, false, "tiny", digest_b), unread}), "tiny"));
  CHECK(!resolve_model(view_of({unread}), "other"));

  const member away = node_with("away", proto::ON_DISK, false, "tiny", "");
  CHECK(pending(view_of({away}), "tiny"));
  CHECK(**resolve_model(view_of({away, node_with("home", proto::ON_DISK, true)}), "tiny") ==
        digest_a);
  member down = away;
  down.up = false;
  CHECK(!resolve_model(view_of({down}), "tiny"));
}

TEST_CASE("a model whose file cannot be read says why") {
  member broken = node_with("home", proto::MODEL_FAILED, true, "tiny", "");
  broken.models[0].set_failure("the file ends early");
  const auto refused = resolve_model(view_of({broken}), "tiny");
  REQUIRE(!refused);
  CHECK(refused.failure().code == error_code::unsupported);
  CHECK(refused.failure().message.find("the file ends early") != std::string::npos);
  CHECK(**resolve_model(view_of({broken, node_with("away", proto::READY)}), "tiny") == digest_a);
}

TEST_CASE("a ready node first, then the own file, then one elsewhere, then one that can fetch") {
  member bare = node_with("bare", proto::READY, false, "other", digest_b);
  member home = node_with("home", proto::ON_DISK, true);
  member away = node_with("away", proto::ON_DISK);
  member warm = node_with("warm", proto::READY);
  CHECK(chosen(view_of({away, bare, home, warm})) == "warm");
  CHECK(chosen(view_of({away, bare, home})) == "home");
  CHECK(chosen(view_of({away, bare})) == "away");
  away.load.sequences_max = 0;  // has the file, does not compute
  CHECK(chosen(view_of({away, bare})) == "bare");
  const auto fetching = choose_worker(view_of({away, bare}), {digest_a, {}, nullptr, {}});
  REQUIRE(fetching);
  CHECK(fetching->holders == std::vector<std::string>{"away"});
  CHECK(!fetching->ready);
  CHECK(chosen(view_of({bare})).empty());
  home.models[0].set_state(proto::MODEL_FAILED);
  CHECK(chosen(view_of({home})).empty());
}

TEST_CASE("a node that cannot load the model is not chosen, and one that waits says for what") {
  member home = node_with("home", proto::ON_DISK, true);
  member away = node_with("away", proto::ON_DISK);
  CHECK_FALSE(load_refusal_of(view_of({home, away}), digest_a));
  home.models[0].set_load_refusal(proto::TOO_LARGE);
  home.models[0].set_failure("it needs 9 bytes");
  CHECK(chosen(view_of({home, away})) == "away");
  CHECK(chosen(view_of({home})).empty());
  const auto large = load_refusal_of(view_of({home}), digest_a);
  REQUIRE(large);
  CHECK_FALSE(large->waits);
  CHECK(large->why.code == error_code::resource_exhausted);
  CHECK(large->why.message.find("it needs 9 bytes") != std::string::npos);
  away.models[0].set_load_refusal(proto::WAITS_FOR_NODE);
  away.models[0].set_failure("node pc2 is down");
  CHECK(chosen(view_of({home, away})).empty());
  const auto waiting = load_refusal_of(view_of({home, away}), digest_a);
  REQUIRE(waiting);
  CHECK(waiting->waits);
  CHECK(waiting->why.message.find("node away") != std::string::npos);
  away.models[0].set_state(proto::READY);
  CHECK(chosen(view_of({home, away})) == "away");
}

TEST_CASE(
    "among equals the least loaded, then the own node; failed and draining ones last or never") {
  member home = node_with("home", proto::READY, true);
  member away = node_with("away", proto::READY);
  CHECK(chosen(view_of({away, home})) == "home");
  home.load.sequences_running = 2;
  CHECK(chosen(view_of({away, home})) == "away");
  away.load.sequences_running = 3;
  away.load.sequences_max = 16;
  CHECK(chosen(view_of({away, home})) == "away");
  CHECK(chosen(view_of({away, home}), {}, {"away"}) == "home");
  CHECK(chosen(view_of({away}), {}, {"away"}) == "away");
  away.draining = true;
  CHECK(chosen(view_of({away, home})) == "home");
  home.up = false;
  CHECK(chosen(view_of({away, home})).empty());
}

TEST_CASE("a node with a GPU that is too warm computes where no other would do as well") {
  member home = node_with("home", proto::READY, true);
  member away = node_with("away", proto::READY);
  home.load.too_warm = true;
  worker_wish wish;
  wish.digest = digest_a;
  const auto choice = choose_worker(view_of({away, home}), wish);
  REQUIRE(choice);
  CHECK(choice->node == "away");
  CHECK(choice->because.find("home has a GPU that is too warm") != std::string::npos);
  wish.shuns = [](const std::string& node) { return node == "away"; };
  CHECK(choose_worker(view_of({away, home}), wish)->node == "home");
  wish.shuns = {};
  away.models[0].set_state(proto::ON_DISK);
  CHECK(choose_worker(view_of({away, home}), wish)->node == "home");
  away.models[0].set_state(proto::READY);
  away.load.too_warm = true;
  CHECK(choose_worker(view_of({away, home}), wish)->node == "home");
}

TEST_CASE("the node that holds more of the prompt wins, unless its queue costs more") {
  std::vector<std::int32_t> prompt(16 * 40 + 5, 7);
  std::vector<prefix_name> names;
  extend_prefix_names(names, prefix_root(digest_a, "cpu-1"), prompt);
  REQUIRE(names.size() == 40);
  member home = node_with("home", proto::READY, true);
  member away = node_with("away", proto::READY);
  const auto choose = [&] {
    worker_wish wish;
    wish.digest = digest_a;
    wish.prompt_ids = prompt;
    return choose_worker(view_of({away, home}), wish)->node;
  };
  CHECK(choose() == "home");
  away.prefixes = {names[39]};  // 640 tokens; each of its 4 places costs 256
  CHECK(choose() == "away");
  away.load.sequences_running = 2;
  CHECK(choose() == "away");
  away.load.sequences_running = 3;
  CHECK(choose() == "home");
  home.load.sequences_waiting = 3;
  CHECK(choose() == "away");
  home.prefixes = {names[39]};
  CHECK(choose() == "home");

  home.load = away.load = {0, 0, 4, 0};
  home.prefixes.clear();
  away.prefixes.clear();
  extend_prefix_names(away.prefixes, prefix_root(digest_a, "another class"), prompt);
  std::sort(away.prefixes.begin(), away.prefixes.end());
  CHECK(choose() == "home");
  away.prefixes = {names[0]};
  away.models[0].set_state(proto::ON_DISK);  // what it held went with its engine
  CHECK(choose() == "home");
}

TEST_CASE("what a job costs somewhere: the prompt without what is held, and the queue's share") {
  CHECK(start_cost(100, 0, 0, 4) == 100);
  CHECK(start_cost(100, 96, 0, 4) == 4);
  CHECK(start_cost(100, 112, 0, 4) == 0);
  CHECK(start_cost(100, 0, 4, 4) == 100 + full_node_tokens);
  CHECK(start_cost(0, 0, 8, 4) == 2 * full_node_tokens);
}

TEST_CASE("a job goes on in its numerics class where a node of it exists") {
  member home = node_with("home", proto::READY, true);
  member away = node_with("away", proto::READY);
  home.models[0].set_numerics_class("cuda-sm90-1");
  CHECK(chosen(view_of({away, home}), "cpu-1") == "away");
  CHECK(chosen(view_of({home}), "cpu-1") == "home");
}
