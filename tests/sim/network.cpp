#include "tests/sim/network.hpp"

#include <algorithm>

namespace troupe::sim {
namespace {

constexpr time_us redial_min = 50'000, redial_max = 2'000'000;
constexpr time_us unanswered_max = 2'500'000;  // then ZeroMQ's own heartbeat gives a wire up

}  // namespace

class network::sockets final : public link::socket_set {
 public:
  sockets(network& net, machine& at, std::uint64_t life) : net_(net), at_(at), life(life) {}
  ~sockets() override { net_.closing(this); }

  const std::string& address() const override { return at_.address; }
  result<link::channel_id> dial(const std::string& address) override {
    const link::channel_id channel = next_dial_++;
    dials[channel].address = address;
    net_.try_dial(this, channel, life);
    return channel;
  }
  void undial(link::channel_id channel) override {
    const auto found = dials.find(channel);
    if (found == dials.end()) return;
    const std::uint64_t wire = found->second.wire;
    dials.erase(found);
    if (wire != 0) net_.break_wire(wire, true);
  }
  std::string address_of(link::channel_id channel) const override {
    const auto found = dials.find(channel);
    return found == dials.end() ? at_.address + " (came in)" : found->second.address;
  }
  link::sent send(link::channel_id channel, zmq::message_t& frame) override {
    std::uint64_t wire = 0;
    if (is_dial(channel)) {
      const auto found = dials.find(channel);
      if (found == dials.end()) return link::sent::gone;
      if (!found->second.connected) return link::sent::blocked;
      wire = found->second.wire;
    } else {
      const auto found = incoming.find(channel);
      if (found == incoming.end()) return link::sent::gone;
      wire = found->second;
    }
    net_.send(wire, is_dial(channel) ? 1 : 0, std::string(frame.data<char>(), frame.size()));
    return link::sent::yes;
  }
  std::size_t receive(std::size_t most,
                      const std::function<void(link::channel_id, zmq::message_t&)>& take,
                      const std::function<void()>&) override {
    std::size_t taken = 0;
    for (; taken < most && !inbound.empty(); ++taken) {
      auto [channel, bytes] = std::move(inbound.front());
      inbound.pop_front();
      zmq::message_t frame(bytes.data(), bytes.size());
      take(channel, frame);
    }
    return taken;
  }
  void changes(const std::function<void(link::channel_id, bool)>& told) override {
    for (auto& [channel, d] : dials) {
      if (d.connected == d.told) continue;
      d.told = d.connected;
      told(channel, d.connected);
    }
  }
  bool incoming_broke() override { return std::exchange(broke, false); }
  bool pending() override {
    return !inbound.empty() || broke || std::any_of(dials.begin(), dials.end(), [](const auto& d) {
      return d.second.connected != d.second.told;
    });
  }
  void woken(std::span<const std::uint64_t>) override {}

  link::channel_id come_in(std::uint64_t wire) {
    const link::channel_id channel = first_incoming | next_incoming_++;
    incoming[channel] = wire;
    return channel;
  }

  struct dialled {
    std::string address;
    bool connected = false, told = false;
    std::uint64_t wire = 0;
    time_us wait = redial_min;
  };
  machine& host() { return at_; }

 private:
  network& net_;
  machine& at_;
  link::channel_id next_dial_ = 1, next_incoming_ = 1;

 public:
  const std::uint64_t life;
  std::map<link::channel_id, dialled> dials;
  std::map<link::channel_id, std::uint64_t> incoming;  // to wires
  std::deque<std::pair<link::channel_id, std::string>> inbound;
  bool broke = false;
};

std::unique_ptr<link::socket_set> network::open(machine& at) {
  auto made = std::make_unique<sockets>(*this, at, ++last_life_);
  open_[made->life] = made.get();
  if (!at.address.empty()) listening_[at.address] = made.get();
  silenced_.erase(at.name);
  // Its peers' half-open wires to what ran here before answer with a reset now.
  std::vector<std::uint64_t> stale;
  for (const auto& [number, w] : wires_)
    for (int i = 0; i < 2; ++i)
      if (w.end[i] == nullptr && w.name[i] == at.name) stale.push_back(number);
  for (const std::uint64_t number : stale) break_wire(number, true);
  return made;
}

void network::try_dial(sockets* from, link::channel_id channel, std::uint64_t life) {
  const auto alive = open_.find(life);
  if (alive == open_.end()) return;
  const auto found = from->dials.find(channel);
  if (found == from->dials.end() || found->second.connected) return;
  sockets::dialled& d = found->second;
  clock_.after(dice_.between(100, 400), [this, from, channel, life] {
    if (!open_.contains(life)) return;
    const auto found = from->dials.find(channel);
    if (found == from->dials.end() || found->second.connected) return;
    sockets::dialled& d = found->second;
    const auto there = listening_.find(d.address);
    sockets* to = there == listening_.end() ? nullptr : there->second;
    if (!to || to->host().stopped || cut_off(from->host().name, to->host().name) ||
        cut_off(to->host().name, from->host().name)) {
      const time_us wait = d.wait;
      d.wait = std::min(2 * wait, redial_max);
      clock_.after(wait, [this, from, channel, life] { try_dial(from, channel, life); });
      return;
    }
    const std::uint64_t number = ++last_wire_;
    wire& w = wires_[number];
    w.end[0] = from;
    w.end[1] = to;
    w.name[0] = from->host().name;
    w.name[1] = to->host().name;
    w.channel[0] = channel;
    w.channel[1] = to->come_in(number);
    d.wire = number;
    d.connected = true;
    d.wait = redial_min;
    from->host().wake();
  });
  (void)d;
}

void network::send(std::uint64_t number, int to, std::string bytes) {
  const auto found = wires_.find(number);
  if (found == wires_.end()) return;
  wire& w = found->second;
  const unsigned copies = 1 + dice_.chance(faults.repeat);
  for (unsigned c = 0; c < copies; ++c) {
    if (dice_.chance(faults.loss)) continue;
    std::string frame = bytes;
    if (dice_.chance(faults.garbage)) {
      if (dice_.chance(500))
        frame.resize(dice_.below(frame.size()));
      else
        frame[dice_.below(frame.size())] ^= static_cast<char>(1 << dice_.below(8));
    }
    const bool early = dice_.chance(faults.reorder);
    time_us when = clock_.now() + 40 + dice_.below(faults.delay_max);
    if (!early) when = w.last_arrival[to] = std::max(w.last_arrival[to], when);
    clock_.at(when, [this, number, to, frame = std::move(frame)]() mutable {
      arrive(number, to, std::move(frame));
    });
  }
}

void network::arrive(std::uint64_t number, int to, std::string bytes) {
  const auto found = wires_.find(number);
  if (found == wires_.end()) return;
  wire& w = found->second;
  const auto cut = cuts_.find({w.name[1 - to], w.name[to]});
  if (cut != cuts_.end()) {
    if (cut->second) w.held[to].push_back({std::move(bytes)});
    return;
  }
  if (w.end[to] == nullptr) return;  // nobody there: the sender hears nothing
  clock_.note(number << 8 | static_cast<unsigned>(to));
  clock_.note(bytes);
  ++delivered_;
  w.end[to]->inbound.emplace_back(w.channel[to], std::move(bytes));
  w.end[to]->host().wake();
}

void network::break_wire(std::uint64_t number, bool told) {
  const auto found = wires_.find(number);
  if (found == wires_.end()) return;
  const wire w = std::move(found->second);
  wires_.erase(found);
  if (w.end[0]) {
    const auto d = w.end[0]->dials.find(w.channel[0]);
    if (d != w.end[0]->dials.end() && d->second.wire == number) {
      d->second.connected = false;
      d->second.wire = 0;
      try_dial(w.end[0], w.channel[0], w.end[0]->life);
      if (told) w.end[0]->host().wake();
    }
  }
  if (w.end[1]) {
    w.end[1]->incoming.erase(w.channel[1]);
    w.end[1]->broke = true;
    if (told) w.end[1]->host().wake();
  }
}

void network::closing(sockets* gone) {
  open_.erase(gone->life);
  if (const auto found = listening_.find(gone->host().address);
      found != listening_.end() && found->second == gone)
    listening_.erase(found);
  const bool silent = silenced_.contains(gone->host().name);
  std::vector<std::uint64_t> theirs;
  for (auto& [number, w] : wires_)
    for (auto& end : w.end)
      if (end == gone) {
        end = nullptr;
        theirs.push_back(number);
      }
  for (const std::uint64_t number : theirs)
    clock_.after(silent ? unanswered_max : 200 + dice_.below(300),
                 [this, number] { break_wire(number, true); });
}

void network::cut(const std::string& from, const std::string& to, bool held) {
  cuts_[{from, to}] = held;
  // A cut that lasts is noticed by ZeroMQ's own heartbeat, and the wire given up.
  for (const auto& [number, w] : wires_) {
    const bool between =
        (w.name[0] == from && w.name[1] == to) || (w.name[0] == to && w.name[1] == from);
    if (!between) continue;
    clock_.after(unanswered_max, [this, number = number, from, to] {
      if (cut_off(from, to)) break_wire(number, true);
    });
  }
}

void network::heal(const std::string& from, const std::string& to) {
  cuts_.erase({from, to});
  for (auto& [number, w] : wires_)
    for (int i = 0; i < 2; ++i) {
      if (w.name[1 - i] != from || w.name[i] != to) continue;
      for (frame_on_wire& frame : std::exchange(w.held[i], {})) {
        w.last_arrival[i] = std::max(w.last_arrival[i], clock_.now() + 200);
        clock_.at(w.last_arrival[i],
                  [this, number = number, i, bytes = std::move(frame.bytes)]() mutable {
                    arrive(number, i, std::move(bytes));
                  });
      }
    }
}

void network::heal_all() {
  const auto cuts = cuts_;
  for (const auto& [pair, held] : cuts) heal(pair.first, pair.second);
}

void network::reset(const std::string& a, const std::string& b) {
  std::vector<std::uint64_t> between;
  for (const auto& [number, w] : wires_)
    if ((w.name[0] == a && w.name[1] == b) || (w.name[0] == b && w.name[1] == a))
      between.push_back(number);
  for (const std::uint64_t number : between) break_wire(number, true);
}

}  // namespace troupe::sim
