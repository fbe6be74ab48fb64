// Ours: a CAF actor at each end of the link. As in a node, what comes in together goes to the actor
// as one message, and an idle actor runs on the I/O thread.
#include <algorithm>
#include <caf/all.hpp>
#include <chrono>
#include <future>
#include <vector>

#include "actors/shell/inline_lane.hpp"
#include "cluster/link/bench/bench_sides.hpp"
#include "cluster/link/link.hpp"

namespace troupe::link {
namespace {

using batch = std::vector<envelope_ptr>;
using clock = std::chrono::steady_clock;
using round_trips = std::shared_ptr<std::promise<double>>;
using flood_done = std::shared_ptr<std::promise<flood_figure>>;
using start_echo = caf::atom_constant<caf::atom("echo")>;
using start_flood = caf::atom_constant<caf::atom("flood")>;
using go_on = caf::atom_constant<caf::atom("go_on")>;

}  // namespace
}  // namespace troupe::link

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::link::batch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::link::round_trips)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::link::flood_done)

namespace troupe::link {
namespace {

constexpr auto wait_max = std::chrono::seconds(60);
// Room for more than the flooding actor sends in the millisecond that it waits when the queue is
// full.
constexpr std::uint64_t queued_bytes = 8u << 20;

caf::actor_system_config& sharing(caf::actor_system_config& config) {
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", 1);
  return config;
}

std::shared_ptr<proto::Envelope> addressed(const std::string& from, const std::string& to) {
  auto message = std::make_shared<proto::Envelope>();
  message->mutable_sender()->set_node(from);
  message->mutable_sender()->set_actor("bench");
  message->mutable_target()->set_node(to);
  message->mutable_target()->set_actor("bench");
  return message;
}

class to_actor final : public link_events {
 public:
  void on_envelope(const peer_view&, envelope_ptr) override {}
  void on_envelopes(const peer_view&, std::span<envelope_ptr> messages) override {
    actor->eq_impl(
        caf::make_message_id(), nullptr, lane,
        batch(std::make_move_iterator(messages.begin()), std::make_move_iterator(messages.end())));
    lane->run();
  }
  void on_peer_up(const peer_view&) override { up.set_value(); }
  void on_peer_down(const peer_view&, std::string, std::vector<envelope_ptr>) override {}

  caf::actor actor;
  inline_lane* lane = nullptr;
  std::promise<void> up;
};

class actor_side {
 public:
  actor_side(std::string name, bool listens) : name_(std::move(name)) {
    events_.lane = &lane_;
    settings_.queued_bytes_max = queued_bytes;
    if (listens) settings_.listen = "tcp://127.0.0.1:0";
  }
  ~actor_side() {
    link_.reset();
    caf::anon_send_exit(events_.actor, caf::exit_reason::user_shutdown);
    events_.actor = nullptr;
  }
  status open() {
    auto opened = endpoint::open({name_, 1, peer_role::node}, settings_, events_);
    if (!opened.ok()) return opened.failure();
    link_ = std::move(opened).value();
    return {};
  }

  const std::string name_;
  link_settings settings_;
  caf::actor_system_config config_;
  caf::actor_system system_{sharing(config_)};
  inline_lane lane_{system_};
  to_actor events_;
  std::unique_ptr<endpoint> link_;
};

struct counting_state {
  std::uint64_t messages = 0;
  clock::time_point first, last;
};

caf::behavior echoing(caf::stateful_actor<counting_state>* self, actor_side* side) {
  return {[self, side](const batch& messages) {
    auto& state = self->state;
    for (const envelope_ptr& message : messages) {
      if (message->has_count_flood()) {
        if (state.messages++ == 0) state.first = clock::now();
        continue;
      }
      auto reply = addressed(side->name_, message->sender().node());
      if (message->has_echo()) {
        reply->mutable_echoed()->set_payload(message->echo().payload());
      } else {
        state.last = clock::now();
        auto& count = *reply->mutable_flood_count();
        count.set_messages(state.messages);
        count.set_first_to_last_us(static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(state.last - state.first)
                .count()));
        state.messages = 0;
      }
      if (!side->link_->send(std::move(reply)).ok()) self->quit();
    }
  }};
}

class actor_server final : public bench_server {
 public:
  explicit actor_server(const bench_keys& keys) : side_("bench-server", true) {
    side_.settings_.security.own = keys.server;
    if (!keys.client.empty())
      (void)side_.settings_.security.allowed
          .add({keys::key_role::node, "bench-client", keys.client.shown, {}})
          .ok();
    side_.events_.actor = side_.system_.spawn(echoing, &side_);
  }
  status open() { return side_.open(); }
  std::string address() const override { return side_.link_->address(); }

 private:
  actor_side side_;
};

struct driving_state {
  std::vector<double> times;
  clock::time_point sent;
  unsigned rounds = 0;
  std::string payload;
  std::uint64_t left = 0;
  round_trips trips;
  flood_done flood;
  flood_kind kind = flood_kind::fresh;
  envelope_ptr next;  // what the link did not take, or what is sent over and over
};

using driver = caf::stateful_actor<driving_state>;

void send_echo(driver* self, actor_side* side) {
  auto message = addressed(side->name_, "bench-server");
  message->mutable_echo()->set_payload(self->state.payload);
  self->state.sent = clock::now();
  if (!side->link_->send(std::move(message)).ok()) self->quit();
}

envelope_ptr flood_envelope(driver* self, actor_side* side) {
  auto message = addressed(side->name_, "bench-server");
  message->mutable_count_flood()->set_payload(self->state.payload);
  return message;
}

void flood_on(driver* self, actor_side* side) {
  constexpr std::uint64_t slice = 512;
  auto& state = self->state;
  for (std::uint64_t i = 0; i < slice && state.left > 0; ++i, --state.left) {
    if (!state.next) state.next = flood_envelope(self, side);
    if (!side->link_->send(state.next).ok())
      return self->delayed_send(self, std::chrono::milliseconds(1), go_on::value);
    if (state.kind == flood_kind::fresh) state.next = nullptr;
  }
  if (state.left > 0) return self->send(self, go_on::value);
  state.next = nullptr;
  auto ask = addressed(side->name_, "bench-server");
  ask->mutable_read_flood();
  while (!side->link_->send(ask).ok()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

caf::behavior driving(driver* self, actor_side* side) {
  return {[self, side](start_echo, std::uint32_t size, unsigned rounds, round_trips done) {
            self->state.payload.assign(size, 'e');
            self->state.rounds = rounds;
            self->state.trips = std::move(done);
            self->state.times.clear();
            send_echo(self, side);
          },
          [self, side](start_flood, std::uint32_t size, std::uint64_t messages, bool fresh,
                       flood_done done) {
            self->state.kind = fresh ? flood_kind::fresh : flood_kind::prepared;
            self->state.payload.assign(size, 'f');
            self->state.left = messages;
            self->state.flood = std::move(done);
            flood_on(self, side);
          },
          [self, side](go_on) { flood_on(self, side); },
          [self, side](const batch& messages) {
            auto& state = self->state;
            for (const envelope_ptr& message : messages) {
              if (message->has_flood_count()) {
                const auto& count = message->flood_count();
                state.flood->set_value(
                    {count.messages(), static_cast<double>(count.first_to_last_us()) / 1e6});
                continue;
              }
              state.times.push_back(
                  std::chrono::duration<double, std::micro>(clock::now() - state.sent).count());
              if (state.times.size() < state.rounds) {
                send_echo(self, side);
                continue;
              }
              const auto middle = state.times.begin() + state.rounds / 2;
              std::nth_element(state.times.begin(), middle, state.times.end());
              state.trips->set_value(*middle);
            }
          }};
}

class actor_client final : public bench_client {
 public:
  actor_client() : side_("bench-client", false) {
    side_.events_.actor = side_.system_.spawn(driving, &side_);
  }
  status open(const std::string& address, const bench_keys& keys) {
    side_.settings_.security.own = keys.client;
    if (!keys.client.empty()) side_.settings_.security.servers[address] = keys.server.shown;
    if (status opened = side_.open(); !opened.ok()) return opened;
    if (status dialled = side_.link_->connect(address); !dialled.ok()) return dialled;
    if (side_.events_.up.get_future().wait_for(wait_max) != std::future_status::ready)
      return silent();
    return {};
  }
  result<double> round_trip_p50_us(std::uint32_t size_bytes, unsigned rounds) override {
    auto done = std::make_shared<std::promise<double>>();
    auto future = done->get_future();
    caf::anon_send(side_.events_.actor, start_echo::value, size_bytes, rounds, done);
    if (future.wait_for(wait_max) != std::future_status::ready) return silent();
    return future.get();
  }
  result<flood_figure> flood(std::uint32_t size_bytes, std::uint64_t messages,
                             flood_kind kind) override {
    auto done = std::make_shared<std::promise<flood_figure>>();
    auto future = done->get_future();
    caf::anon_send(side_.events_.actor, start_flood::value, size_bytes, messages,
                   kind == flood_kind::fresh, done);
    if (future.wait_for(wait_max) != std::future_status::ready) return silent();
    return future.get();
  }

 private:
  static error silent() {
    return {error_code::deadline_exceeded, "the link's bench had no reply in a minute", ""};
  }
  actor_side side_;
};

}  // namespace

result<std::unique_ptr<bench_server>> make_actor_server(const bench_keys& keys) {
  auto server = std::make_unique<actor_server>(keys);
  if (const status opened = server->open(); !opened.ok()) return opened.failure();
  return std::unique_ptr<bench_server>(std::move(server));
}

result<std::unique_ptr<bench_client>> make_actor_client(const std::string& address,
                                                        const bench_keys& keys) {
  auto client = std::make_unique<actor_client>();
  if (const status opened = client->open(address, keys); !opened.ok()) return opened.failure();
  return std::unique_ptr<bench_client>(std::move(client));
}

}  // namespace troupe::link
