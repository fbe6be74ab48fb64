#include "actors/shell/role_actor.hpp"

#include <spdlog/spdlog.h>

#include "actors/shell/current_actor.hpp"

namespace troupe {
namespace {

using tick_atom = caf::atom_constant<caf::atom("tick")>;
using work_atom = caf::atom_constant<caf::atom("work")>;

class role_actor : public caf::event_based_actor {
 public:
  role_actor(caf::actor_config& config, role_plan plan)
      : caf::event_based_actor(config), plan_(std::move(plan)) {
    set_exception_handler([this](caf::scheduled_actor*, std::exception_ptr& failure) {
      return log_failure(failure);
    });
    set_default_handler(caf::drop);
  }

  caf::behavior make_behavior() override {
    caf::weak_actor_ptr self{ctrl()};
    role_ = plan_.make([self, gauge = plan_.gauge](role_event_ptr event) {
      const auto strong = caf::actor_cast<caf::strong_actor_ptr>(self);
      if (!strong) return;
      gauge->enqueued.fetch_add(1, std::memory_order_release);
      caf::anon_send(caf::actor_cast<caf::actor>(strong), std::move(event));
    });
    plan_.gauge->alive = true;
    schedule_tick();
    schedule_work();
    return {
        [this](const envelope_ptr& message) {
          run(1, [&](time_point_us now) { role_->receive(message, now); });
        },
        [this](const troupe_envelope_batch& messages) {
          for (const envelope_ptr& message : messages)
            run(1, [&](time_point_us now) { role_->receive(message, now); });
        },
        [this](const role_event_ptr& event) {
          run(1, [&](time_point_us now) { role_->notice(*event, now); });
        },
        [this](tick_atom, std::uint64_t generation) {
          if (generation != tick_generation_) return;
          run(0, [&](time_point_us now) { role_->tick(now); });
          schedule_tick();
        },
        [this](work_atom) {
          work_scheduled_ = false;
          run(0, [&](time_point_us now) { role_->work(now); });
        },
    };
  }

  void on_exit() override {
    role_.reset();
    plan_.gauge->alive = false;
    plan_.gauge->handled.store(plan_.gauge->enqueued.load());
  }

  const char* name() const override { return plan_.name.c_str(); }

 private:
  time_point_us now() {
    return std::chrono::duration_cast<time_point_us>(clock().now().time_since_epoch());
  }

  template <class Call>
  void run(std::uint64_t messages, Call&& call) {
    const working_for name{plan_.name};
    const time_point_us begin = now();
    call(begin);
    plan_.gauge->busy_us.fetch_add(static_cast<std::uint64_t>((now() - begin).count()),
                                   std::memory_order_relaxed);
    if (messages > 0) plan_.gauge->handled.fetch_add(messages, std::memory_order_release);
    schedule_work();
  }

  // One work message at a time goes to the mailbox's end, so that all that has arrived is seen
  // first.
  void schedule_work() {
    if (work_scheduled_ || !role_->has_work()) return;
    work_scheduled_ = true;
    send(this, work_atom::value);
  }

  void schedule_tick() {
    delayed_send(this, plan_.tick_every, tick_atom::value, ++tick_generation_);
  }

  caf::error log_failure(std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      spdlog::error("actor_failed actor={} reason=\"{}\"", plan_.name, e.what());
    } catch (...) {
      spdlog::error("actor_failed actor={} reason=unknown", plan_.name);
    }
    return caf::sec::runtime_error;
  }

  role_plan plan_;
  std::unique_ptr<role> role_;
  std::uint64_t tick_generation_ = 0;
  bool work_scheduled_ = false;
};

}  // namespace

bool role_handle::accept(std::uint64_t count) const {
  if (!actor_ || !gauge_->alive) return false;
  if (mailbox_max_ > 0 && gauge_->mailbox_depth() + count > mailbox_max_) {
    gauge_->dropped.fetch_add(count, std::memory_order_relaxed);
    return false;
  }
  gauge_->enqueued.fetch_add(count, std::memory_order_release);
  return true;
}

bool role_handle::deliver(envelope_ptr message, caf::execution_unit* lane) const {
  if (!accept(1)) return false;
  actor_->eq_impl(caf::make_message_id(), nullptr, lane, std::move(message));
  return true;
}

bool role_handle::deliver(std::vector<envelope_ptr> messages, caf::execution_unit* lane) const {
  if (messages.empty()) return true;
  if (!accept(messages.size())) return false;
  actor_->eq_impl(caf::make_message_id(), nullptr, lane, std::move(messages));
  return true;
}

bool role_handle::deliver(role_event_ptr event) const {
  if (!accept(1)) return false;
  caf::anon_send(actor_, std::move(event));
  return true;
}

void role_handle::stop() const {
  if (actor_) caf::anon_send_exit(actor_, caf::exit_reason::user_shutdown);
}

role_handle spawn_role(caf::actor_system& system, role_plan plan) {
  const std::shared_ptr<actor_gauge> gauge = plan.gauge;
  const std::uint64_t mailbox_max = plan.mailbox_max;
  gauge->handled.store(gauge->enqueued.load());
  // Set here, not when the actor first runs: what is sent right after spawning must not bounce.
  gauge->alive = true;
  caf::actor actor = plan.detached ? system.spawn<role_actor, caf::detached>(std::move(plan))
                                   : system.spawn<role_actor>(std::move(plan));
  return {std::move(actor), gauge, mailbox_max};
}

}  // namespace troupe
