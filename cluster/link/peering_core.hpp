// Who is whom: greetings, which dial leads to which peer, which session is the one between two
// names. Pure: no sockets, no clock. It decides; session_core carries the traffic of a session once
// it exists.
//
// State of a dial            event                                      next
//   away                     connected                                  greeting: say hello
//   greeting                 welcome, no session with that name         joined: session opens
//                            welcome, session with that name            parked (two dials lead to
//                            one peer) welcome, half-open session of that name,
//                              and our name is the greater              parked: the peer's dial
//                              wins
//                            refusal already_connected, session known   parked
//                            refusal already_connected, not known       greeting: hello that
//                            replaces the old session any other refusal parked greet_every passed
//                            greeting: say hello again
//   parked                   park_time passed, or that session ended    greeting
//   joined                   its session ended                          greeting (or away)
//   any                      connection gone                            away; its session, if any,
//   is told any                      anything else                              dropped and counted
//
// State of a name            hello with                                 answer
//   unknown                  incarnation below the highest seen         refusal stale_incarnation
//                            else                                       welcome, half open
//   half open                the same session number                    welcome again
//                            a frame of the session                     up
//   up                       lower incarnation                          refusal stale_incarnation
//                            higher incarnation                         old session ends; welcome,
//                            half open same, same session number                  welcome again
//                            (the connection moved) same, replaces the session that is up      old
//                            session ends; welcome, half open same, else refusal already_connected
//   our own name             any                                        refusal same_name
//   any                      from a key that may not greet so           refusal wrong_key
//                            (admission.hpp), or that does not hold
//                            a client's name that is in use
//
// A welcome from a key that may not greet so parks the dial, too. A session belongs to the key that
// it was greeted with: frames and goodbyes for it count from that key only.
// Invariants: at most one session with a name is up. A session number is drawn at random and never
// used twice. Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/link/admission.hpp"
#include "cluster/link/link.hpp"
#include "cluster/link/session_core.hpp"
#include "proto/link.pb.h"

namespace troupe::link {

// A way to a peer, named by the shell: a dialled connection or one that came in.
using channel_id = std::uint64_t;

struct peering_settings {
  session_settings session;  // what we grant and expect; the peer's half comes from its hello
  time_us greet_every = 500'000;
  time_us park_time = 2'000'000;
  std::size_t half_open_max = 256;
  std::size_t names_remembered_max = 4096;
};

// What the shell has to do.
struct peering_effect {
  enum class what { send_control, open_session, session_up, end_session, dial_refused };
  what kind = what::send_control;
  channel_id channel = 0;
  frame_kind control = frame_kind::hello;  // send_control, with body
  std::string body;
  std::uint64_t session = 0;  // ours; for send_control of a reset: the number that was not known
  identity peer;              // open_session, session_up
  session_settings settings;  // open_session
  std::uint64_t peer_session = 0;
  time_us peer_sent_at = 0;
  std::string reason;  // end_session, dial_refused
};

class peering_core {
 public:
  using effects = std::vector<peering_effect>;
  peering_core(identity self, peering_settings settings, std::function<std::uint64_t()> draw);

  void add_dial(channel_id channel);
  void remove_dial(channel_id channel, effects& out);  // its session ends
  void dial_connected(channel_id channel, time_us now, effects& out);
  void dial_lost(channel_id channel);
  void tick(time_us now, effects& out);

  // A hello, welcome, refusal, reset or goodbye frame, and whose key it came with. False where it
  // is malformed or makes no sense here.
  bool control(channel_id from, const credential& holder, const frame_header& header,
               std::span<const std::uint8_t> body, time_us now, effects& out);
  // Any other frame: the session that it belongs to, if that is up (a half-open one becomes so).
  // Unknown ones are answered with a reset.
  bool admit(channel_id from, const credential& holder, std::uint64_t session, time_us now,
             effects& out);
  // The shell found a session ended (its core, or a broken connection).
  void session_ended(std::uint64_t session, time_us now, effects& out);
  // The keys' list is another one: sessions whose key may no longer greet so end.
  void review(const std::function<credential(const keys::public_key&, bool dialled)>& holder_of,
              time_us now, effects& out);

 private:
  enum class dial_state { away, greeting, parked, joined };
  struct dial {
    dial_state state = dial_state::away;
    std::uint64_t session = 0;  // as greeted with, or joined
    std::uint64_t replaces = 0;
    time_us act_at = 0;  // greeting: hello again; parked: greet again
    std::string peer;    // parked or joined
  };
  struct session_record {
    identity peer;
    std::uint64_t peer_session;
    channel_id channel;
    bool up;
    bool dialled;
    time_us opened_at;
    keys::public_key key;
  };

  proto::LinkHello own_hello(std::uint64_t session) const;
  void greet(channel_id channel, dial& d, time_us now, effects& out);
  void park(dial& d, std::string peer, time_us now);
  void refuse(channel_id channel, const proto::LinkHello& hello, proto::LinkRefusal::Reason reason,
              std::string message, std::uint64_t existing, effects& out);
  bool on_hello(channel_id from, const credential&, const frame_header&, const proto::LinkHello&,
                time_us, effects&);
  bool on_welcome(channel_id from, const credential&, const frame_header&,
                  const proto::LinkWelcome&, time_us, effects&);
  bool on_refusal(channel_id from, const proto::LinkRefusal&, time_us, effects&);
  void welcome(channel_id to, std::uint64_t session, const session_record& record, effects& out);
  void open(std::uint64_t session, session_record record, const proto::LinkHello& hello,
            time_us sent_at, effects& out);
  void make_up(std::uint64_t session, effects& out);
  void close(std::uint64_t session, std::string reason, time_us now, effects& out);
  void tell_refused(channel_id dial, std::string why, effects& out);
  bool bad_hello(const proto::LinkHello& hello) const;
  session_settings settings_for(const proto::LinkHello& hello) const;
  void remember(const identity& peer);

  identity self_;
  peering_settings settings_;
  std::function<std::uint64_t()> draw_;
  std::map<channel_id, dial> dials_;
  std::unordered_map<std::uint64_t, session_record> sessions_;
  std::unordered_map<std::string, std::uint64_t> up_;           // name -> session
  std::unordered_map<std::string, std::uint64_t> incarnation_;  // highest seen of a node's name
};

}  // namespace troupe::link
