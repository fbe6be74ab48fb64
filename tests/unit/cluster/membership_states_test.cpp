// Every state with every event, as the table says and as the core does.
#include "cluster/membership/membership_states.hpp"

#include <set>

#include "membership_stage.hpp"

using namespace troupe;
using namespace troupe::cluster;

namespace {

constexpr std::size_t states = member_state_names.size(), events = member_event_names.size();

// A stage whose peer "away" is in that state: by what its peer does, never by hand. "ear" is always
// up, and hears "away" no more either.
membership_stage in_state(member_state wanted) {
  membership_stage s;
  s.link_up("ear");
  s.link_up("away", 3);
  s.pass(2'000, {"ear"});  // whatever became of it, it is heard again
  s.link_down("away", 3);
  s.link_up("away", 3);
  s.hear("away", s.beat_of("away", 3));
  switch (wanted) {
    case member_state::up:
      break;
    case member_state::suspect:
      s.pass(900, {"ear"});
      break;
    case member_state::silent:
      s.pass(1'800, {"ear"});
      break;
    case member_state::away:
      s.link_down("away", 3);
      break;
    case member_state::left: {
      proto::Envelope beat = s.beat_of("away", 3);
      beat.mutable_heartbeat()->set_view_version(9);
      beat.mutable_heartbeat()->set_draining(true);
      s.hear("away", beat);
      s.link_down("away", 3);
      break;
    }
  }
  REQUIRE(s.core.state_of("away") == wanted);
  s.lost.clear(), s.came_up.clear(), s.suspected.clear(), s.cleared.clear();
  return s;
}

// Makes the event happen. False: the world cannot make it in that state.
bool happens(member_event event, member_state in, membership_stage& s) {
  switch (event) {
    case member_event::session:
      s.link_up("away", 3);
      return true;
    case member_event::newer_session:
      s.link_up("away", 4);
      return true;
    case member_event::stale_session:
      s.link_up("away", 2);
      return true;
    case member_event::frame:
      s.hear("away", s.beat_of("away", 3));
      return true;
    case member_event::overdue:
      if (in == member_state::silent || !linked(in)) return false;
      s.pass(in == member_state::up ? 900 : 60, {"ear"});
      return true;
    case member_event::unreachable:
      if (in != member_state::suspect) return false;
      s.pass(800, {"ear"});
      return true;
    case member_event::silent_too_long: {
      if (in != member_state::suspect) return false;
      for (int i = 0; i < 200 && s.lost.empty(); ++i) {
        s.pass(10, {"ear"});
        for (const envelope_ptr& one : std::exchange(s.sent, {})) {
          if (!one->has_probe_peer()) continue;
          proto::Envelope yes;
          yes.mutable_probe_answer()->set_node("away");
          yes.mutable_probe_answer()->set_round(one->probe_peer().round());
          yes.mutable_probe_answer()->set_heard(true);
          s.hear("ear", yes);
        }
      }
      CHECK((!s.lost.empty() && s.lost[0].cause == loss_cause::silent));
      return true;
    }
    case member_event::session_end:
      s.link_down("away", 3);
      return true;
    case member_event::farewell: {
      proto::Envelope beat = s.beat_of("away", 3);
      beat.mutable_heartbeat()->set_view_version(9);
      beat.mutable_heartbeat()->set_draining(true);
      if (linked(in)) {  // it is heard, so it is up, and then it is gone
        s.hear("away", beat);
        s.lost.clear(), s.came_up.clear(), s.cleared.clear();
      }
      s.link_down("away", 3);
      return in != member_state::suspect && in != member_state::silent;
    }
    case member_event::expired:
      if (linked(in)) return false;
      s.pass(3'700'000, {"ear"});
      return true;
  }
  return false;
}

member_news told_by(const membership_stage& s) {
  if (!s.lost.empty() && !s.came_up.empty()) return member_news::replaced;
  if (!s.lost.empty())
    return s.lost[0].cause == loss_cause::left ? member_news::gone : member_news::lost;
  if (!s.came_up.empty()) return member_news::came_up;
  if (!s.suspected.empty()) return member_news::suspected;
  if (!s.cleared.empty()) return member_news::cleared;
  return s.core.state_of("away") ? member_news::none : member_news::forgotten;
}

}  // namespace

TEST_CASE("the core does in every state and event what the table says") {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < states; ++i)
    for (std::size_t k = 0; k < events; ++k) {
      const auto in = static_cast<member_state>(i);
      const auto event = static_cast<member_event>(k);
      CAPTURE(member_state_names[i]);
      CAPTURE(member_event_names[k]);
      membership_stage s = in_state(in);
      if (!happens(event, in, s)) continue;
      ++seen;
      const member_transition& row = transition(in, event);
      CHECK(told_by(s) == row.news);
      if (row.news == member_news::forgotten) continue;
      CHECK(s.core.state_of("away") == row.next);
      CHECK(s.see("away").up == alive(row.next));
      CHECK(s.see("away").suspect == (row.next == member_state::suspect));
    }
  CHECK(seen == 34);
}

TEST_CASE("a refusal keeps the state, says why, and tells nobody; what is told fits the change") {
  for (std::size_t i = 0; i < states; ++i)
    for (std::size_t k = 0; k < events; ++k) {
      const auto in = static_cast<member_state>(i);
      const member_transition& row = transition(in, static_cast<member_event>(k));
      CAPTURE(member_state_names[i]);
      CAPTURE(member_event_names[k]);
      if (!row.refused.empty()) {
        CHECK(row.next == in);
        CHECK(row.news == member_news::none);
        continue;
      }
      // Exactly the changes between alive and not are told to those who wait for the node.
      const bool was = alive(in), is = alive(row.next);
      const bool loses = row.news == member_news::lost || row.news == member_news::gone;
      CHECK((was && !is) == loses);
      CHECK((!was && is) == (row.news == member_news::came_up));
      if (row.news == member_news::forgotten) CHECK(!linked(in));
      if (row.news == member_news::replaced) CHECK((was && is));
    }
}

TEST_CASE("no event but a session brings back who has none, and no stale session brings anybody") {
  for (const member_state in : {member_state::away, member_state::left})
    for (std::size_t k = 0; k < events; ++k) {
      const auto event = static_cast<member_event>(k);
      const bool session = event == member_event::session || event == member_event::newer_session;
      CHECK(linked(transition(in, event).next) == session);
    }
  for (std::size_t i = 0; i < states; ++i)
    CHECK(!transition(static_cast<member_state>(i), member_event::stale_session).refused.empty());
}
