#include "cluster/link/peering_core.hpp"

#include <algorithm>
#include <utility>

namespace troupe::link {
namespace {

constexpr time_us half_open_time = 5'000'000;
constexpr std::size_t name_bytes_max = 256;
constexpr std::uint32_t silence_ms_min = 10, silence_ms_max = 3'600'000;

bool is_client(const proto::LinkHello& hello) {
  return hello.role() == proto::LinkHello::CLIENT;
}

peering_effect control_effect(channel_id channel, frame_kind kind, std::string body) {
  peering_effect effect;
  effect.kind = peering_effect::what::send_control;
  effect.channel = channel;
  effect.control = kind;
  effect.body = std::move(body);
  return effect;
}

}  // namespace

peering_core::peering_core(identity self, peering_settings settings,
                           std::function<std::uint64_t()> draw)
    : self_(std::move(self)), settings_(settings), draw_(std::move(draw)) {}

proto::LinkHello peering_core::own_hello(std::uint64_t session) const {
  proto::LinkHello hello;
  hello.set_protocol_version(protocol_version);
  hello.set_name(self_.name);
  hello.set_incarnation(self_.incarnation);
  hello.set_role(self_.role == peer_role::node ? proto::LinkHello::NODE : proto::LinkHello::CLIENT);
  hello.set_session(session);
  hello.set_silence_ms(static_cast<std::uint32_t>(settings_.session.silence / 1000));
  hello.set_credit_bytes(settings_.session.window_bytes);
  hello.set_credit_messages(settings_.session.window_messages);
  hello.set_message_bytes_max(message_bytes_max);
  return hello;
}

bool peering_core::bad_hello(const proto::LinkHello& hello) const {
  return hello.name().empty() || hello.name().size() > name_bytes_max || hello.session() == 0 ||
         hello.silence_ms() < silence_ms_min || hello.silence_ms() > silence_ms_max ||
         hello.credit_bytes() == 0 || hello.credit_messages() == 0;
}

session_settings peering_core::settings_for(const proto::LinkHello& hello) const {
  session_settings settings = settings_.session;
  settings.peer_window_bytes = hello.credit_bytes();
  settings.peer_window_messages = hello.credit_messages();
  settings.peer_silence = time_us{hello.silence_ms()} * 1000;
  return settings;
}

void peering_core::remember(const identity& peer) {
  if (peer.role != peer_role::node) return;
  const auto known = incarnation_.find(peer.name);
  if (known != incarnation_.end())
    known->second = std::max(known->second, peer.incarnation);
  else if (incarnation_.size() < settings_.names_remembered_max)
    incarnation_.emplace(peer.name, peer.incarnation);
}

void peering_core::add_dial(channel_id channel) {
  dials_.try_emplace(channel);
}

void peering_core::remove_dial(channel_id channel, effects& out) {
  const auto found = dials_.find(channel);
  if (found == dials_.end()) return;
  const dial gone = std::move(found->second);
  dials_.erase(found);
  if (gone.state != dial_state::joined) return;
  auto goodbye = control_effect(channel, frame_kind::goodbye, {});
  if (const auto session = sessions_.find(gone.session); session != sessions_.end())
    goodbye.session = session->second.peer_session;
  out.push_back(std::move(goodbye));
  close(gone.session, "disconnected", 0, out);
}

void peering_core::greet(channel_id channel, dial& d, time_us now, effects& out) {
  if (d.session == 0) d.session = draw_();
  d.state = dial_state::greeting;
  d.act_at = now + settings_.greet_every;
  proto::LinkHello hello = own_hello(d.session);
  hello.set_replaces(d.replaces);
  out.push_back(control_effect(channel, frame_kind::hello, hello.SerializeAsString()));
}

void peering_core::park(dial& d, std::string peer, time_us now) {
  d.state = dial_state::parked;
  d.session = d.replaces = 0;
  d.peer = std::move(peer);
  d.act_at = now + settings_.park_time;
}

void peering_core::dial_connected(channel_id channel, time_us now, effects& out) {
  const auto found = dials_.find(channel);
  if (found == dials_.end() || found->second.state == dial_state::joined) return;
  greet(channel, found->second, now, out);
}

void peering_core::dial_lost(channel_id channel) {
  const auto found = dials_.find(channel);
  if (found == dials_.end() || found->second.state == dial_state::joined) return;
  found->second = dial{};
}

void peering_core::tick(time_us now, effects& out) {
  for (auto& [channel, d] : dials_) {
    const bool waits = d.state == dial_state::greeting || d.state == dial_state::parked;
    if (waits && now >= d.act_at) greet(channel, d, now, out);
  }
  std::vector<std::uint64_t> old;
  for (const auto& [number, record] : sessions_)
    if (!record.up && now >= record.opened_at + half_open_time) old.push_back(number);
  for (const std::uint64_t number : old) close(number, "never confirmed", now, out);
}

bool peering_core::control(channel_id from, const credential& holder, const frame_header& header,
                           std::span<const std::uint8_t> body, time_us now, effects& out) {
  const int size = static_cast<int>(body.size());
  if (header.kind == frame_kind::hello) {
    proto::LinkHello hello;
    return hello.ParseFromArray(body.data(), size) &&
           on_hello(from, holder, header, hello, now, out);
  }
  if (header.kind == frame_kind::welcome) {
    proto::LinkWelcome welcome;
    return welcome.ParseFromArray(body.data(), size) &&
           on_welcome(from, holder, header, welcome, now, out);
  }
  if (header.kind == frame_kind::refusal) {
    proto::LinkRefusal refusal;
    return refusal.ParseFromArray(body.data(), size) && on_refusal(from, refusal, now, out);
  }
  if (header.kind == frame_kind::reset) {  // carries the number that we used: the peer's
    for (const auto& [number, record] : sessions_)
      if (record.peer_session == header.session && record.channel == from)
        return close(number, "the peer no longer knows the session", now, out), true;
    return true;  // of a session that we no longer have either
  }
  if (header.kind != frame_kind::goodbye) return false;
  const auto found = sessions_.find(header.session);
  if (found == sessions_.end() || found->second.key != holder.key) return true;
  proto::LinkGoodbye goodbye;
  if (!goodbye.ParseFromArray(body.data(), size)) return false;
  close(header.session, goodbye.reason().empty() ? "the peer said goodbye" : goodbye.reason(), now,
        out);
  return true;
}

void peering_core::refuse(channel_id channel, const proto::LinkHello& hello,
                          proto::LinkRefusal::Reason reason, std::string message,
                          std::uint64_t existing, effects& out) {
  proto::LinkRefusal refusal;
  refusal.set_reason(reason);
  refusal.set_message(std::move(message));
  refusal.set_name(self_.name);
  refusal.set_existing_session(existing);
  refusal.set_answers(hello.session());
  out.push_back(control_effect(channel, frame_kind::refusal, refusal.SerializeAsString()));
}

bool peering_core::on_hello(channel_id from, const credential& holder, const frame_header& header,
                            const proto::LinkHello& hello, time_us now, effects& out) {
  if (hello.protocol_version() != protocol_version)
    return refuse(from, hello, proto::LinkRefusal::OTHER_VERSION,
                  "this side speaks version " + std::to_string(protocol_version), 0, out),
           true;
  if (bad_hello(hello)) return false;
  if (hello.name() == self_.name)
    return refuse(from, hello, proto::LinkRefusal::SAME_NAME,
                  "this is " + self_.name + " itself, or a second node of that name", 0, out),
           true;
  if (std::string why = objection(holder, hello.name(), is_client(hello)); !why.empty())
    return refuse(from, hello, proto::LinkRefusal::WRONG_KEY, std::move(why), 0, out), true;
  identity peer{hello.name(), hello.incarnation(),
                is_client(hello) ? peer_role::client : peer_role::node};
  const auto seen = incarnation_.find(peer.name);
  if (seen != incarnation_.end() && peer.incarnation < seen->second)
    return refuse(from, hello, proto::LinkRefusal::STALE_INCARNATION,
                  "incarnation " + std::to_string(seen->second) + " has been here", 0, out),
           true;
  if (const auto up = up_.find(peer.name); up != up_.end()) {
    session_record& existing = sessions_.at(up->second);
    if (is_client(hello) && existing.key != holder.key)
      return refuse(from, hello, proto::LinkRefusal::WRONG_KEY, "another key has that name now", 0,
                    out),
             true;
    const std::uint64_t existing_incarnation = existing.peer.incarnation;
    if (peer.incarnation < existing_incarnation)
      return refuse(from, hello, proto::LinkRefusal::STALE_INCARNATION,
                    "incarnation " + std::to_string(existing_incarnation) + " is here", 0, out),
             true;
    if (peer.incarnation == existing_incarnation) {
      if (hello.session() == existing.peer_session && existing.key == holder.key) {
        existing.channel = from;
        return welcome(from, up->second, existing, out), true;
      }
      if (hello.replaces() != existing.peer_session)
        return refuse(from, hello, proto::LinkRefusal::ALREADY_CONNECTED, "connected already",
                      existing.peer_session, out),
               true;
      close(up->second, "the peer began a new session", now, out);
    } else {
      close(up->second, "replaced by its incarnation " + std::to_string(peer.incarnation), now,
            out);
    }
  }
  std::size_t half_open = 0;
  for (const auto& [number, record] : sessions_) {
    if (!record.up && record.peer_session == hello.session() && record.channel == from)
      return welcome(from, number, record, out), true;
    half_open += !record.up;
  }
  if (half_open >= settings_.half_open_max)
    return refuse(from, hello, proto::LinkRefusal::BUSY, "too many greetings at once", 0, out),
           true;
  const std::uint64_t session = draw_();
  const session_record record{std::move(peer), hello.session(), from, false, false, now,
                              holder.key};
  open(session, record, hello, header.sent_at, out);
  welcome(from, session, record, out);
  return true;
}

void peering_core::welcome(channel_id to, std::uint64_t session, const session_record& record,
                           effects& out) {
  proto::LinkWelcome welcome;
  *welcome.mutable_hello() = own_hello(session);
  welcome.set_answers(record.peer_session);
  out.push_back(control_effect(to, frame_kind::welcome, welcome.SerializeAsString()));
}

bool peering_core::on_welcome(channel_id from, const credential& holder, const frame_header& header,
                              const proto::LinkWelcome& welcome, time_us now, effects& out) {
  const auto found = dials_.find(from);
  if (found == dials_.end() || bad_hello(welcome.hello())) return false;
  dial& d = found->second;
  const proto::LinkHello& hello = welcome.hello();
  if (d.state != dial_state::greeting || welcome.answers() != d.session) return true;  // late
  identity peer{hello.name(), hello.incarnation(),
                is_client(hello) ? peer_role::client : peer_role::node};
  if (std::string why = objection(holder, hello.name(), is_client(hello)); !why.empty()) {
    park(d, peer.name, now);
    return tell_refused(from, hello.name() + " answers there: " + why, out), true;
  }
  if (peer.name == self_.name) return park(d, peer.name, now), true;
  if (const auto up = up_.find(peer.name); up != up_.end()) {
    if (peer.incarnation <= sessions_.at(up->second).peer.incarnation)
      return park(d, peer.name, now), true;
    close(up->second, "replaced by its incarnation " + std::to_string(peer.incarnation), now, out);
  }
  const bool crossed = std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    return !entry.second.up && !entry.second.dialled && entry.second.peer.name == peer.name &&
           entry.second.peer.incarnation == peer.incarnation;
  });
  if (crossed && self_.name > peer.name) return park(d, peer.name, now), true;
  d.state = dial_state::joined;
  d.peer = peer.name;
  d.replaces = 0;
  session_record record{std::move(peer), hello.session(), from, false, true, now, holder.key};
  open(d.session, std::move(record), hello, header.sent_at, out);
  make_up(d.session, out);
  return true;
}

bool peering_core::on_refusal(channel_id from, const proto::LinkRefusal& refusal, time_us now,
                              effects& out) {
  const auto found = dials_.find(from);
  if (found == dials_.end()) return false;
  dial& d = found->second;
  if (d.state != dial_state::greeting || refusal.answers() != d.session) return true;
  const bool known = sessions_.contains(refusal.existing_session());
  if (refusal.reason() == proto::LinkRefusal::ALREADY_CONNECTED && !known &&
      d.replaces != refusal.existing_session()) {
    d.replaces = refusal.existing_session();
    greet(from, d, now, out);
  } else {
    park(d, refusal.name(), now);
    if (refusal.reason() != proto::LinkRefusal::ALREADY_CONNECTED)
      tell_refused(from, refusal.name() + " refused: " + refusal.message(), out);
  }
  return true;
}

void peering_core::open(std::uint64_t session, session_record record, const proto::LinkHello& hello,
                        time_us sent_at, effects& out) {
  peering_effect effect;
  effect.kind = peering_effect::what::open_session;
  effect.channel = record.channel;
  effect.session = session;
  effect.peer = record.peer;
  effect.settings = settings_for(hello);
  effect.peer_session = record.peer_session;
  effect.peer_sent_at = sent_at;
  out.push_back(std::move(effect));
  sessions_.insert_or_assign(session, std::move(record));
}

void peering_core::make_up(std::uint64_t session, effects& out) {
  session_record& record = sessions_.at(session);
  record.up = true;
  up_[record.peer.name] = session;
  remember(record.peer);
  peering_effect effect;
  effect.kind = peering_effect::what::session_up;
  effect.channel = record.channel;
  effect.session = session;
  effect.peer = record.peer;
  out.push_back(std::move(effect));
}

bool peering_core::admit(channel_id from, const credential& holder, std::uint64_t session,
                         time_us now, effects& out) {
  const auto found = sessions_.find(session);
  if (found != sessions_.end() && found->second.key == holder.key) {
    if (!found->second.up) {
      const auto other = up_.find(found->second.peer.name);
      if (other == up_.end()) {
        make_up(session, out);
      } else {
        close(session, "another session with that peer is up", now, out);
      }
    }
    if (const auto again = sessions_.find(session); again != sessions_.end()) {
      again->second.channel = from;
      return true;
    }
  }
  auto reset = control_effect(from, frame_kind::reset, {});
  reset.session = session;
  out.push_back(std::move(reset));
  return false;
}

void peering_core::tell_refused(channel_id dial, std::string why, effects& out) {
  peering_effect effect;
  effect.kind = peering_effect::what::dial_refused;
  effect.channel = dial;
  effect.reason = std::move(why);
  out.push_back(std::move(effect));
}

void peering_core::review(
    const std::function<credential(const keys::public_key&, bool dialled)>& holder_of, time_us now,
    effects& out) {
  std::vector<std::pair<std::uint64_t, std::string>> ended;
  for (const auto& [number, record] : sessions_) {
    std::string why = objection(holder_of(record.key, record.dialled), record.peer.name,
                                record.peer.role == peer_role::client);
    if (!why.empty()) ended.emplace_back(number, std::move(why));
  }
  for (auto& [number, why] : ended) {
    const session_record& record = sessions_.at(number);
    proto::LinkGoodbye goodbye;
    goodbye.set_reason(self_.name + " ended the session: " + why);
    auto farewell =
        control_effect(record.channel, frame_kind::goodbye, goodbye.SerializeAsString());
    farewell.session = record.peer_session;
    out.push_back(std::move(farewell));
    close(number, std::move(why), now, out);
  }
}

void peering_core::close(std::uint64_t session, std::string reason, time_us now, effects& out) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  peering_effect effect;
  effect.kind = peering_effect::what::end_session;
  effect.channel = found->second.channel;
  effect.session = session;
  effect.peer = found->second.peer;
  effect.reason = std::move(reason);
  out.push_back(std::move(effect));
  session_ended(session, now, out);
}

void peering_core::session_ended(std::uint64_t session, time_us now, effects&) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  const std::string name = found->second.peer.name;
  if (const auto up = up_.find(name); up != up_.end() && up->second == session) up_.erase(up);
  sessions_.erase(found);
  for (auto& [channel, d] : dials_) {
    if (d.state == dial_state::joined && d.session == session) {
      d = dial{};
      d.state = dial_state::greeting;  // if it is away, the hello does not leave
      d.act_at = now;
    } else if (d.state == dial_state::parked && d.peer == name) {
      d.act_at = now;
    }
  }
}

}  // namespace troupe::link
