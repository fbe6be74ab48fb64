// A peer's state as the membership sees it, and every event that may come in it: the table that
// membership_core runs, and that its test enumerates.
//
//   up       a session stands, and the peer is heard (and hears us)
//   suspect  a session stands, but beats stay away: no new work, running work stays
//   silent   lost by verdict while the session still stands
//   away     lost; no session
//   left     it said that it drains, and its session ended: not lost, but gone
//
// A peer that is not known yet has no row: its first session makes it `away`, then `up`.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace troupe::cluster {

enum class member_state { up, suspect, silent, away, left };
inline constexpr std::array<std::string_view, 5> member_state_names = {"up", "suspect", "silent",
                                                                       "away", "left"};

enum class member_event {
  session,          // with the incarnation known, or a first one
  newer_session,    // with a higher incarnation: another process of that name
  stale_session,    // with a lower incarnation
  frame,            // something of that node arrived, and it hears us too
  overdue,          // some beats stay away, one way or the other
  unreachable,      // silent past the detector's verdict, and nobody else reaches it
  silent_too_long,  // silent, or deaf to us, for down_after, whoever reaches it
  session_end,
  farewell,  // the session's end of a node that had said it drains
  expired,   // without a session for so long that it is forgotten
};
inline constexpr std::array<std::string_view, 10> member_event_names = {
    "session",     "newer_session",   "stale_session", "frame",    "overdue",
    "unreachable", "silent_too_long", "session_end",   "farewell", "expired"};

// What the others are told.
enum class member_news {
  none,
  came_up,
  suspected,
  cleared,   // of suspicion
  lost,      // to all who wait for it; what it was given goes elsewhere
  replaced,  // lost, then came_up: another process
  gone,      // as lost, but nobody needs to worry
  forgotten,
};

struct member_transition {
  member_state next = member_state::away;
  member_news news = member_news::none;
  std::string_view refused = {};  // why that event changes nothing here; the state stays
};

namespace member_table {

using state = member_state;
using news = member_news;
using row = std::array<member_transition, member_event_names.size()>;

inline constexpr std::string_view stale = "that incarnation is dead, and never returns";
inline constexpr std::string_view no_session = "no session stands; it is of before";
inline constexpr std::string_view unsuspected = "a verdict needs a suspicion";
inline constexpr std::string_view decided = "it is lost already";
inline constexpr std::string_view has_session = "who has a session is not forgotten";

// In the order of member_event.
inline constexpr std::array<row, member_state_names.size()> rows = {{
    {{{state::up},
      {state::up, news::replaced},
      {state::up, news::none, stale},
      {state::up},
      {state::suspect, news::suspected},
      {state::up, news::none, unsuspected},
      {state::up, news::none, unsuspected},
      {state::away, news::lost},
      {state::left, news::gone},
      {state::up, news::none, has_session}}},
    {{{state::up, news::cleared},
      {state::up, news::replaced},
      {state::suspect, news::none, stale},
      {state::up, news::cleared},
      {state::suspect},
      {state::silent, news::lost},
      {state::silent, news::lost},
      {state::away, news::lost},
      {state::left, news::gone},
      {state::suspect, news::none, has_session}}},
    {{{state::up, news::came_up},
      {state::up, news::came_up},
      {state::silent, news::none, stale},
      {state::up, news::came_up},
      {state::silent, news::none, decided},
      {state::silent, news::none, decided},
      {state::silent, news::none, decided},
      {state::away},
      {state::left},
      {state::silent, news::none, has_session}}},
    {{{state::up, news::came_up},
      {state::up, news::came_up},
      {state::away, news::none, stale},
      {state::away, news::none, no_session},
      {state::away, news::none, no_session},
      {state::away, news::none, no_session},
      {state::away, news::none, no_session},
      {state::away, news::none, no_session},
      {state::away, news::none, no_session},
      {state::away, news::forgotten}}},
    {{{state::up, news::came_up},
      {state::up, news::came_up},
      {state::left, news::none, stale},
      {state::left, news::none, no_session},
      {state::left, news::none, no_session},
      {state::left, news::none, no_session},
      {state::left, news::none, no_session},
      {state::left, news::none, no_session},
      {state::left, news::none, no_session},
      {state::left, news::forgotten}}},
}};

}  // namespace member_table

constexpr const member_transition& transition(member_state in, member_event event) {
  return member_table::rows[static_cast<std::size_t>(in)][static_cast<std::size_t>(event)];
}

// A session stands in these.
constexpr bool linked(member_state state) {
  return state == member_state::up || state == member_state::suspect ||
         state == member_state::silent;
}

// Work may run there; new work goes only to those that are up.
constexpr bool alive(member_state state) {
  return state == member_state::up || state == member_state::suspect;
}

}  // namespace troupe::cluster
