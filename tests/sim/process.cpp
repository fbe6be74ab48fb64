#include "tests/sim/process.hpp"

namespace troupe::sim {
namespace {

constexpr int turns_max = 16;  // of the link at one wake-up

}  // namespace

process::process(clockwork& clock, network& net, dice chances, link::identity who,
                 std::string address, const link::link_settings& settings)
    : clock_(clock),
      dice_(chances),
      machine_{who.name, std::move(address), false, [this] { wake(); }},
      offset_(1'000'000 + dice_.below(1'000'000'000)),
      outbox_(settings.queued_bytes_max, settings.chunk_bytes) {
  loop_ = std::make_unique<link::link_loop>(std::move(who), settings, net.open(machine_), outbox_,
                                            [this] { return dice_.next(); });
  wake();
}

process::~process() {
  *alive_ = false;
}

void process::stop_for(time_us time) {
  machine_.stopped = true;
  stopped_until_ = std::max(stopped_until_, clock_.now() + time);
  const time_us until = stopped_until_;
  clock_.at(until, [this, alive = alive_, until] {
    if (*alive && stopped_until_ == until) machine_.stopped = false;
  });
}

void process::later(time_us wait, action call) {
  clock_.after(wait, [this, alive = alive_, call = std::move(call)]() mutable {
    if (!*alive) return;
    if (machine_.stopped) return later(stopped_until_ - clock_.now() + 1, std::move(call));
    call();
  });
}

void process::wake() {
  if (std::exchange(turn_asked_, true)) return;
  later(10 + dice_.below(20), [this] {
    turn_asked_ = false;
    turn();
  });
}

void process::turn() {
  bool again = true;
  for (int i = 0; i < turns_max && again; ++i) {
    again = loop_->turn(local_now());
    for (link::link_event& event : loop_->take_events()) {
      if (event.kind == link::link_event::what::up)
        on_up(*event.peer);
      else if (event.kind == link::link_event::what::envelopes)
        on_envelopes(*event.peer, event.messages);
      else
        on_down(*event.peer, event.reason, std::move(event.messages));
    }
  }
  if (again || loop_->pending()) return wake();
  set_timer();
}

void process::set_timer() {
  const time_us next = loop_->next_deadline();
  const time_us now = local_now();
  const time_us when = clock_.now() + (next > now ? next - now : 1);
  if (timer_at_ > clock_.now() && timer_at_ <= when) return;
  timer_at_ = when;
  later(when - clock_.now(), [this, when] {
    if (timer_at_ == when) {
      timer_at_ = 0;
      turn();
    }
  });
}

status process::send(const envelope_ptr& message) {
  bool due = false;
  if (status done = outbox_.submit(message, due); !done.ok()) return done;
  if (due) wake();
  return {};
}

}  // namespace troupe::sim
