#include <doctest/doctest.h>

#include <algorithm>

#include "actors/monitoring/monitoring_core.hpp"
#include "tests/unit/actors/fakes.hpp"

using namespace troupe;
using namespace troupe::fakes;

namespace {

const std::vector<peer_seen> three = {{"here", true}, {"b", true}, {"c", true}};

monitoring_settings settings_of(const std::string& node) {
  monitoring_settings out;
  out.node = node;
  return out;
}

envelope_ptr question(std::uint64_t correlation) {
  auto out = letter("client-1", "client", "monitoring", correlation);
  out->mutable_read_picture();
  return out;
}

std::vector<envelope_ptr> to_others(const std::vector<envelope_ptr>& posts) {
  std::vector<envelope_ptr> out;
  for (const envelope_ptr& post : posts)
    if (post->target().actor() == "monitoring") out.push_back(post);
  return out;
}

std::shared_ptr<proto::Envelope> part_of(const proto::Envelope& asked, double first_token,
                                         int jobs) {
  auto out = std::make_shared<proto::Envelope>(reply_to(asked));
  proto::NodePart& part = *out->mutable_cluster_picture()->add_nodes();
  part.set_node(asked.target().node());
  part.mutable_status()->mutable_jobs()->set_running(static_cast<std::uint64_t>(jobs));
  quantile_sketch sketch;
  for (int i = 0; i < 100; ++i) sketch.add(first_token);
  sketch.write(*part.mutable_first_token_seconds());
  return out;
}

// The answers here that are awaited beside the other nodes'.
void answer_here(monitoring_core& core, const std::vector<envelope_ptr>& posts, time_point_us now,
                 monitoring_core::effects& out) {
  for (const envelope_ptr& post : posts) {
    if (post->target().node() != "here") continue;
    const auto effects = core.step(refuse(*post, proto::Error::UNAVAILABLE, "away"), now);
    out.answers.insert(out.answers.end(), effects.answers.begin(), effects.answers.end());
  }
}

proto::ClusterPicture picture_of(monitoring_core& core, const proto::Envelope& request,
                                 time_point_us now) {
  return core.answer(request, core.status(now), {}, now)->cluster_picture();
}

const proto::NodePart& node_in(const proto::ClusterPicture& picture, const std::string& name) {
  for (const proto::NodePart& node : picture.nodes())
    if (node.node() == name) return node;
  FAIL("no node " << name);
  return picture.nodes(0);
}

}  // namespace

TEST_CASE("any node shows the whole cluster, with percentiles of all values together") {
  monitoring_core core{settings_of("here")};
  time_point_us now{1'000'000};
  core.nodes_changed(three, now);
  auto asked = core.step(question(7), now);
  const auto others = to_others(asked.posts);
  REQUIRE(others.size() == 2);
  CHECK(others[0]->read_picture().own_only());
  monitoring_core::effects out;
  answer_here(core, asked.posts, now, out);
  CHECK(out.answers.empty());
  CHECK(core.step(part_of(*others[0], 0.1, 2), now).answers.empty());
  const auto done = core.step(part_of(*others[1], 3.0, 1), now);
  REQUIRE(done.answers.size() == 1);
  const proto::ClusterPicture picture = picture_of(core, *done.answers[0], now);
  REQUIRE(picture.nodes_size() == 3);
  CHECK(picture.nodes(0).node() == "b");
  CHECK(picture.totals().nodes_up() == 3);
  CHECK(picture.totals().jobs_running() == 3);
  CHECK(picture.totals().first_token_seconds().count() == 200);
  CHECK(picture.totals().first_token_seconds().p50() == doctest::Approx(0.1).epsilon(0.011));
  CHECK(picture.totals().first_token_seconds().p99() == doctest::Approx(3.0).epsilon(0.011));
  CHECK_FALSE(node_in(picture, "b").has_first_token_seconds());
}

TEST_CASE(
    "a node that does not answer in time is shown as silent, with what it said last and how old") {
  monitoring_core core{settings_of("here")};
  time_point_us now{1'000'000};
  core.nodes_changed(three, now);
  auto asked = core.step(question(7), now);
  monitoring_core::effects first;
  answer_here(core, asked.posts, now, first);
  for (const envelope_ptr& other : to_others(asked.posts))
    (void)core.step(part_of(*other, 0.1, 5), now);
  now += std::chrono::seconds(10);
  asked = core.step(question(8), now);
  const auto others = to_others(asked.posts);
  REQUIRE(others.size() == 2);
  (void)core.step(part_of(*others[0], 0.1, 6), now);
  CHECK(core.tick(now + std::chrono::milliseconds(699)).answers.empty());
  now += std::chrono::milliseconds(700);
  const auto done = core.tick(now);
  REQUIRE(done.answers.size() == 1);
  const proto::ClusterPicture picture = picture_of(core, *done.answers[0], now);
  CHECK_FALSE(node_in(picture, "b").silent());
  CHECK(node_in(picture, "c").silent());
  CHECK(node_in(picture, "c").age_ms() == 10'700);
  CHECK(node_in(picture, "c").status().jobs().running() == 5);
  CHECK(node_in(picture, "b").status().jobs().running() == 6);
}

TEST_CASE(
    "a node that is gone stays in the picture as down for a while, and its jobs do not count") {
  monitoring_core core{settings_of("here")};
  time_point_us now{1'000'000};
  core.nodes_changed(three, now);
  for (const envelope_ptr& other : to_others(core.step(question(7), now).posts))
    (void)core.step(part_of(*other, 0.1, 5), now);
  core.nodes_changed({{"here", true}, {"b", true}, {"c", false}}, now);
  now += std::chrono::seconds(5);
  auto asked = core.step(question(8), now);
  CHECK(to_others(asked.posts).size() == 1);
  proto::ClusterPicture picture = picture_of(core, *question(8), now);
  CHECK_FALSE(node_in(picture, "c").up());
  CHECK(picture.totals().jobs_running() == 5);
  now += std::chrono::hours(2);
  core.nodes_changed({{"here", true}, {"b", true}}, now);
  picture = picture_of(core, *question(9), now);
  CHECK(picture.nodes_size() == 2);
}

TEST_CASE("readers that come together share one round of questions") {
  monitoring_core core{settings_of("here")};
  const time_point_us now{1'000'000};
  core.nodes_changed(three, now);
  const auto first = core.step(question(1), now);
  CHECK(to_others(first.posts).size() == 2);
  for (std::uint64_t n = 2; n < 50; ++n)
    CHECK(to_others(core.step(question(n), now).posts).empty());
  monitoring_core::effects out;
  for (const envelope_ptr& other : to_others(first.posts))
    (void)core.step(part_of(*other, 0.1, 5), now);
  answer_here(core, first.posts, now, out);
  CHECK(out.answers.size() == 49);
}

TEST_CASE("a story is found on whichever node has it, and not found when nobody does") {
  monitoring_core core{settings_of("here")};
  const time_point_us now{1'000'000};
  core.nodes_changed(three, now);
  auto asked = letter("client-1", "client", "monitoring", 3);
  asked->mutable_read_story()->set_job_id(std::string(16, 'x'));
  const auto out = core.step(asked, now);
  REQUIRE(out.posts.size() == 2);
  CHECK(out.posts[0]->read_story().own_only());
  CHECK(core.step(refuse(*out.posts[0], proto::Error::NOT_FOUND, "no"), now).posts.empty());
  auto found = std::make_shared<proto::Envelope>(reply_to(*out.posts[1]));
  found->mutable_job_story()->set_told_by("c");
  const auto told = core.step(found, now);
  REQUIRE(told.posts.size() == 1);
  CHECK(told.posts[0]->correlation() == 3);
  CHECK(told.posts[0]->job_story().told_by() == "c");
  const auto again = core.step(asked, now);
  for (const envelope_ptr& post : again.posts)
    (void)core.step(refuse(*post, proto::Error::NOT_FOUND, "no"), now);
  asked->mutable_read_story()->set_job_id("abc");
  const auto short_id = core.step(asked, now);
  REQUIRE(short_id.posts.size() == 1);
  CHECK(short_id.posts[0]->error().code() == proto::Error::INVALID_ARGUMENT);
}

TEST_CASE("history and log lines are of all nodes, and name who did not answer") {
  auto ring = std::make_shared<log_ring>("here", 1);
  ring->add({proto::LEVEL_INFO, 5, "node", "node_up peer=b"});
  monitoring_core core{settings_of("here"), ring};
  const time_point_us now{1'000'000};
  core.nodes_changed(three, now);
  auto asked = letter("client-1", "client", "monitoring", 3);
  asked->mutable_read_log();
  const auto out = core.step(asked, now);
  REQUIRE(out.posts.size() == 2);
  auto lines = std::make_shared<proto::Envelope>(reply_to(*out.posts[0]));
  proto::LogLine& line = *lines->mutable_log_part()->add_lines();
  line.set_node("b");
  line.set_at_us(3);
  (void)core.step(lines, now);
  const auto told = core.tick(now + std::chrono::seconds(1));
  REQUIRE(told.posts.size() == 1);
  const proto::LogPart& part = told.posts[0]->log_part();
  REQUIRE(part.lines_size() == 2);
  CHECK(part.lines(0).node() == "b");  // by time
  CHECK(part.lines(1).actor() == "node");
  CHECK(part.silent(0) == "c");
  asked = letter("client-1", "client", "monitoring", 4);
  asked->mutable_read_history()->add_nodes("b");
  const auto history = core.step(asked, now);
  REQUIRE(history.posts.size() == 1);
  CHECK(history.posts[0]->target().node() == "b");
  const auto silent = core.tick(now + std::chrono::seconds(2));
  REQUIRE(silent.posts.size() == 1);
  CHECK(silent.posts[0]->cluster_history().nodes(0).silent());
}

TEST_CASE("answers of another node than was asked, or to nothing, change nothing") {
  monitoring_core core{settings_of("here")};
  const time_point_us now{1'000'000};
  core.nodes_changed(three, now);
  const auto asked = core.step(question(7), now);
  auto forged = part_of(*to_others(asked.posts)[0], 0.1, 77);
  forged->mutable_sender()->set_node("c");
  (void)core.step(forged, now);
  auto stray = part_of(*to_others(asked.posts)[1], 0.1, 78);
  stray->set_correlation(424242);
  (void)core.step(stray, now);
  const proto::ClusterPicture picture = picture_of(core, *question(7), now);
  CHECK(node_in(picture, "b").status().jobs().running() == 0);
  CHECK(node_in(picture, "c").status().jobs().running() == 0);
}

TEST_CASE("what monitoring asks of other nodes stays below a twentieth of what the links carry") {
  for (const double link_rate : {300'000.0, 1'000'000.0, 50'000'000.0}) {
    peer_parts parts(settings_of("here"));
    time_point_us now{1'000'000};
    parts.nodes_changed(three, now);
    std::uint64_t correlation = 0, bytes = 0;
    const time_point_us end = now + std::chrono::minutes(5);
    for (; now < end; now += std::chrono::milliseconds(100)) {  // somebody looks all the time
      for (const envelope_ptr& asked : parts.ask(link_rate, correlation, now)) {
        auto answer = part_of(*asked, 0.1, 1);
        answer->mutable_cluster_picture()->mutable_nodes(0)->mutable_status()->set_version(
            std::string(10'000, 'x'));
        bytes += asked->ByteSizeLong() + answer->ByteSizeLong();
        CHECK(parts.take(*answer, now));
      }
    }
    const double share = static_cast<double>(bytes) / (link_rate * 300);
    CHECK(share < 0.05);
    CHECK(parts.rounds() > 140);  // and still it is never older than round_pause_max
  }
}
