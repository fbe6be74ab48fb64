// How long a verdict takes, and what it takes into account; how a mesh comes together. All in
// virtual time.
#include "tests/sim/mesh.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::sim;
using cluster::loss_cause;
using kind = sighting::kind;

namespace {

constexpr time_us second = 1'000'000;

// n1 to nN, all configured with all, and converged.
std::unique_ptr<mesh> mesh_of(int nodes, std::uint64_t seed,
                              cluster::membership_settings settings = {},
                              link::link_settings link = {}) {
  auto out = std::make_unique<mesh>(seed, std::move(settings), std::move(link));
  for (int n = 1; n <= nodes; ++n) {
    std::vector<std::string> others;
    for (int other = 1; other < n; ++other) others.push_back("n" + std::to_string(other));
    out->start("n" + std::to_string(n), others);
  }
  out->run(5 * second);
  REQUIRE(out->converged());
  return out;
}

const sighting* last_loss(const mesh& m, const std::string& by, const std::string& of) {
  const sighting* found = nullptr;
  for (const sighting& one : m.seen)
    if (one.what == kind::lost && one.by == by && one.of == of) found = &one;
  return found;
}

bool anybody_lost(const mesh& m, time_us from) {
  return std::any_of(m.seen.begin(), m.seen.end(),
                     [&](const sighting& one) { return one.what == kind::lost && one.at >= from; });
}

link::link_settings patient_link() {
  link::link_settings link;
  link.silence_max = std::chrono::milliseconds(60'000);
  return link;
}

}  // namespace

TEST_CASE("a killed process is lost to all within half a second") {
  for (const int nodes : {2, 3, 5})
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      const auto m = mesh_of(nodes, seed);
      const time_us killed = m->now();
      m->kill("n1");
      m->run(3 * second);
      for (int n = 2; n <= nodes; ++n) {
        const auto lost = m->when(kind::lost, "n" + std::to_string(n), "n1", killed);
        REQUIRE(lost);
        CHECK(*lost - killed <= 500'000);
      }
    }
}

TEST_CASE("a silent node is suspect in a second and lost within 1.6 s, by two nodes or by five") {
  for (const int nodes : {2, 3, 5})
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      const auto m = mesh_of(nodes, seed);
      const time_us stopped = m->now();
      m->at("n1").stop_for(30 * second);
      m->run(2 * second);
      for (int n = 2; n <= nodes; ++n) {
        const std::string by = "n" + std::to_string(n);
        const auto suspected = m->when(kind::suspected, by, "n1", stopped);
        const auto lost = m->when(kind::lost, by, "n1", stopped);
        REQUIRE(suspected);
        REQUIRE(lost);
        CHECK(*suspected - stopped <= second);
        CHECK(*lost - stopped <= 1'600'000);
        CHECK(last_loss(*m, by, "n1")->cause == loss_cause::unreachable);
      }
    }
}

TEST_CASE("power that fails is a silence: no connection tells of it") {
  const auto m = mesh_of(3, 7);
  const time_us cut = m->now();
  m->power_cut("n1");
  m->run(2 * second);
  const auto lost = m->when(kind::lost, "n2", "n1", cut);
  REQUIRE(lost);
  CHECK(*lost - cut <= 1'600'000);
}

TEST_CASE("a short pause makes a suspect and kills nobody; work may go on there") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto m = mesh_of(3, seed);
    const time_us paused = m->now();
    m->at("n1").stop_for(second);
    m->run(950'000);
    CHECK(m->at("n2").core().view()->find("n1")->up);
    CHECK(m->at("n2").core().view()->find("n1")->suspect);
    m->run(3 * second);
    CHECK(!anybody_lost(*m, paused));
    CHECK(m->when(kind::cleared, "n2", "n1", paused));
    CHECK(m->converged());
  }
}

TEST_CASE("a cut between two nodes that a third one reaches: suspect to each other, not dead") {
  for (const bool one_way : {false, true})
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      const auto m = mesh_of(3, seed, {}, patient_link());
      const time_us cut = m->now();
      m->wires().cut("n1", "n2", true);
      if (!one_way) m->wires().cut("n2", "n1", true);
      m->run(2 * second);
      CHECK(!anybody_lost(*m, cut));
      CHECK(m->at("n2").core().view()->find("n1")->suspect);
      CHECK(m->at("n1").core().view()->find("n2")->suspect);  // that n2 is deaf is seen, too
      CHECK(!m->at("n3").core().view()->find("n1")->suspect);
      m->wires().heal_all();
      m->run(4 * second);
      CHECK(!anybody_lost(*m, cut));
      CHECK(m->converged());
    }
}

TEST_CASE("a cut that lasts is bounded: after down_after the node is lost, whoever reaches it") {
  for (const bool one_way : {false, true}) {
    const auto m = mesh_of(3, 4, {}, patient_link());
    const time_us cut = m->now();
    m->wires().cut("n1", "n2", true);
    if (!one_way) m->wires().cut("n2", "n1", true);
    m->run(3'200'000);
    for (const auto& [by, of] : {std::pair("n2", "n1"), std::pair("n1", "n2")}) {
      const auto lost = m->when(kind::lost, by, of, cut);
      REQUIRE(lost);
      CHECK(*lost - cut > 2'000'000);
      CHECK(*lost - cut <= 3'100'000);
      // To n1, which hears n2, it is deaf: that takes longer than the wire's own end.
      const bool deaf = one_way && std::string(by) == "n1";
      if (!deaf) CHECK(last_loss(*m, by, of)->cause == loss_cause::silent);
    }
    m->wires().heal_all();
    m->run(8 * second);  // and back, under the incarnations that they have
    CHECK(m->converged());
  }
}

TEST_CASE("an actor that hangs is silent, though its link goes on; it comes back as it was") {
  const auto m = mesh_of(3, 5, {}, patient_link());
  const time_us hung = m->now();
  m->at("n1").stall(4 * second);
  m->run(1'700'000);
  const auto lost = m->when(kind::lost, "n2", "n1", hung);
  REQUIRE(lost);
  CHECK(*lost - hung <= 1'600'000);
  m->run(6 * second);
  CHECK(m->when(kind::came_up, "n2", "n1", hung));
  CHECK(!m->when(kind::lost, "n1", "n2", hung));  // it did not look: nobody was silent to it
  CHECK(m->converged());
}

TEST_CASE("a node that is slow itself calls nobody lost, and is soon as quick as before") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto m = mesh_of(3, seed);
    const time_us began = m->now();
    for (int i = 0; i < 10; ++i) {  // 600 ms in every 700
      m->at("n1").stall(600'000);
      m->run(700'000);
    }
    for (const std::string of : {"n2", "n3"}) CHECK(!m->when(kind::lost, "n1", of, began));
    CHECK(m->at("n1").core().health_score() > 0);
    m->run(12 * second);
    CHECK(m->at("n1").core().health_score() == 0);
    const time_us stopped = m->now();
    m->at("n3").stop_for(30 * second);
    m->run(2 * second);
    const auto lost = m->when(kind::lost, "n1", "n3", stopped);
    REQUIRE(lost);
    CHECK(*lost - stopped <= 1'600'000);
  }
}

TEST_CASE("a node that was cut off from all calls them lost, and joins again when it is healed") {
  const auto m = mesh_of(4, 3);
  const time_us cut = m->now();
  for (const std::string other : {"n2", "n3", "n4"}) {
    m->wires().cut("n1", other, true);
    m->wires().cut(other, "n1", true);
  }
  m->run(6 * second);
  for (const std::string other : {"n2", "n3", "n4"}) {
    CHECK(m->when(kind::lost, "n1", other, cut));
    CHECK(m->when(kind::lost, other, "n1", cut));
  }
  CHECK(!m->when(kind::lost, "n2", "n3", cut));
  m->wires().heal_all();
  m->run(8 * second);
  CHECK(m->converged());
}

TEST_CASE("a process that starts again is another one, known by its incarnation") {
  const auto m = mesh_of(3, 6);
  for (int i = 0; i < 4; ++i) {
    m->kill("n2");
    m->run(i * 200'000);
    m->start("n2", {"n1"});
    m->run(3 * second);
    CHECK(m->converged());
  }
  CHECK(m->at("n3").core().view()->find("n2")->incarnation == 5);
}

TEST_CASE("who knows one address comes to know all") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    mesh m(seed);
    m.start("n3", {});
    m.run(second);
    for (const std::string name : {"n1", "n5", "n2", "n4"}) {
      m.start(name, {"n3"});
      m.run(second);
      CHECK(m.converged());
    }
    m.kill("n3");  // who had introduced them is not needed any more
    m.run(3 * second);
    CHECK(m.converged());
    m.kill("n1");
    m.run(second);
    m.start("n1", {"n3"});  // it knows only that one, and is known by the others
    m.run(5 * second);
    CHECK(m.converged());
  }
}

TEST_CASE("a drained node has left: it is not lost, and is forgotten") {
  cluster::membership_settings settings;
  settings.left_kept = std::chrono::milliseconds(5'000);
  const auto m = mesh_of(3, 2, settings);
  m->at("n1").take(m->at("n1").core().own_draining(true, m->at("n1").local_time()));
  m->run(second);
  CHECK(m->at("n2").core().view()->find("n1")->draining);
  m->kill("n1");
  m->run(second);
  REQUIRE(last_loss(*m, "n2", "n1"));
  CHECK(last_loss(*m, "n2", "n1")->cause == loss_cause::left);
  CHECK(m->at("n2").core().state_of("n1") == cluster::member_state::left);
  m->run(6 * second);
  CHECK(!m->at("n2").core().view()->find("n1"));
}

TEST_CASE("64 nodes that know one address: all see all, and little is said when nothing changes") {
  mesh m(1);
  m.start("n1", {});
  m.run(second);
  for (int n = 2; n <= 64; ++n) m.start("n" + std::to_string(n), {"n1"});
  m.run(8 * second);
  CHECK(m.converged());
  const time_us calm = m.now();
  std::uint64_t bytes = m.at("n7").beat_bytes, beats = m.at("n7").beats;
  m.run(4 * second);
  CHECK(m.converged());
  CHECK(!anybody_lost(m, calm));
  bytes = m.at("n7").beat_bytes - bytes;
  beats = m.at("n7").beats - beats;
  MESSAGE(beats << " beats of " << bytes / beats << " bytes in 4 s, by one of 64 nodes");
  CHECK(beats >= 63 * 15);
  CHECK(beats <= 63 * 18);
  CHECK(bytes / beats < 100);
  const time_us killed = m.now();
  m.kill("n64");
  m.run(2 * second);
  for (int n = 1; n < 64; ++n) {
    const auto lost = m.when(kind::lost, "n" + std::to_string(n), "n64", killed);
    REQUIRE(lost);
    CHECK(*lost - killed <= 500'000);
  }
  CHECK(m.converged());
}
