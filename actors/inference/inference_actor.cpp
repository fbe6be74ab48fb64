#include "actors/inference/inference_actor.hpp"

#include <spdlog/spdlog.h>

#include <thread>

#include "actors/inference/block_copies.hpp"
#include "actors/spawn.hpp"

namespace troupe {
namespace {

struct engine_report : role_event {
  std::string digest;
  mutable std::optional<result<made_engine>> made;  // taken by the one reader
};

struct constraint_report : role_event {
  constraint_report(constraint_wish w, result<made_constraint> m)
      : wish(std::move(w)), made(std::move(m)) {}
  constraint_wish wish;
  result<made_constraint> made;
};

}  // namespace

inference_role::inference_role(const inference_settings& settings, post_office& office,
                               notify_self notify, inference_aside aside,
                               std::shared_ptr<inference_load> load)
    : office_(office),
      notify_(std::move(notify)),
      load_(load ? std::move(load) : std::make_shared<inference_load>()),
      core_(settings),
      prefixes_shown_max_(settings.prefixes_shown_max),
      aside_(std::move(aside)) {
  load_->running_max = settings.batching ? settings.sequences_running_max : 1;
  load_->running = 0;
  load_->waiting = 0;
  load_->set_engines({});
}

void inference_role::receive(const envelope_ptr& message, time_point_us now) {
  carry_out(core_.step(message, now));
  show_load(now);
}

void inference_role::notice(const role_event& event, time_point_us now) {
  if (const auto* lost = dynamic_cast<const node_lost*>(&event)) {
    carry_out(core_.lose_node(lost->node, now));
  } else if (const auto* report = dynamic_cast<const engine_report*>(&event)) {
    result<made_engine> made = std::move(*report->made);
    if (made) {
      spdlog::info("engine_loaded model={} variant={} load_us={}", report->digest,
                   made->facts.description.variant, made->facts.load_us);
      engines_[report->digest] = std::move(made->engine);
      carry_out(core_.engine_made(report->digest, made->facts, now));
    } else {
      spdlog::error("engine_failed model={} reason=\"{}\"", report->digest, made.failure().text());
      carry_out(core_.engine_made(report->digest, made.failure(), now));
    }
  } else if (const auto* told = dynamic_cast<const constraint_report*>(&event)) {
    carry_out(core_.constraint_made(told->wish, told->made, now));
  }
  show_load(now);
}

void inference_role::tick(time_point_us now) {
  carry_out(core_.tick(now));
  show_load(now);
}

void inference_role::work(time_point_us now) {
  for (const auto& [digest, engine] : engines_)
    if (const status s = tell_copy_room(core_, digest, *engine); !s)
      return lose_engine(digest, s.failure(), now);  // which changes engines_
  const auto batch = core_.plan(now);
  if (!batch) return wait_a_little(now);
  const std::string digest = batch->digest;
  kernels::engine& engine = *engines_.at(digest);
  if (const status s = begin_copies(*batch, engine); !s)
    return lose_engine(digest, s.failure(), now);
  if (!batch->steps.empty()) {
    const auto begin = std::chrono::steady_clock::now();
    const auto logits = engine.step(batch->steps);
    now += std::chrono::duration_cast<time_point_us>(std::chrono::steady_clock::now() - begin);
    carry_out(core_.absorb(*batch, logits, now));
    if (const auto why = engine.lost()) lose_engine(digest, *why, now);
  }
  show_load(now);
}

// For company, or for copies that are under way; then all that has arrived meanwhile is looked at.
void inference_role::wait_a_little(time_point_us now) {
  constexpr time_point_us doze{500};
  if (const auto until = core_.held_until()) {
    if (*until > now) std::this_thread::sleep_for(std::min(doze, *until - now));
    return;
  }
  for (const auto& [digest, engine] : engines_)
    if (const status s = wait_for_copies(*engine); !s) return lose_engine(digest, s.failure(), now);
}

void inference_role::lose_engine(const std::string& digest, const error& why, time_point_us now) {
  spdlog::error("engine_lost model={} reason=\"{}\"", digest, why.text());
  carry_out(core_.lose_engine(std::string(digest), why, now));
}

void inference_role::carry_out(inference_core::effects effects) {
  for (const std::string& digest : effects.drops) engines_.erase(digest);
  for (envelope_ptr& message : effects.posts) office_.post(std::move(message));
  for (const envelope_ptr& wish : effects.loads) {
    aside_.engines->run([wish, source = aside_.source, notify = notify_] {
      auto report = std::make_shared<engine_report>();
      report->digest = wish->load_engine().model_digest();
      report->made = source->make(wish->load_engine());
      notify(std::move(report));
    });
  }
  if (effects.compile)
    aside_.constraints->run(
        [wish = *std::move(effects.compile), compiler = aside_.compiler, notify = notify_] {
          notify(std::make_shared<constraint_report>(wish, compiler(wish)));
        });
}

void inference_role::show_load(time_point_us now) {
  const inference_core::counters& count = core_.count();
  load_->running = count.running;
  load_->waiting = count.waiting;
  load_->frames_fenced = count.frames_fenced;
  engine_uses uses = core_.engines();
  for (const auto& [digest, engine] : engines_)
    if (const auto at = uses.find(digest); at != uses.end()) at->second.device = engine->counters();
  load_->set_engines(std::move(uses));
  constexpr time_point_us window{1'000'000};
  if (now - mark_ < window) return;
  const double seconds = std::chrono::duration<double>(now - mark_).count();
  load_->decode_tokens_per_second =
      mark_ == time_point_us{}
          ? 0.0
          : static_cast<double>(count.tokens_sampled - tokens_at_mark_) / seconds;
  load_->set_prefixes(core_.prefixes(prefixes_shown_max_));
  tokens_at_mark_ = count.tokens_sampled;
  mark_ = now;
}

role_handle spawn_inference(caf::actor_system& system, const inference_settings& settings,
                            post_office& office, std::shared_ptr<actor_gauge> gauge,
                            std::shared_ptr<inference_load> load,
                            std::shared_ptr<stage_desk> desk) {
  role_plan plan;
  plan.name = "inference";
  plan.gauge = std::move(gauge);
  plan.detached = true;
  stage_opener remote;
  if (desk)
    remote = [desk = std::move(desk), &office](const remote_stage_wish& wish) {
      return open_remote_stage(desk, office, wish);
    };
  plan.make = [settings, &office, load = std::move(load),
               remote](notify_self notify) -> std::unique_ptr<role> {
    inference_aside aside{make_engine_source(settings, {}, remote),
                          std::make_unique<background_thread>(),
                          std::make_unique<background_thread>()};
    return std::make_unique<inference_role>(settings, office, std::move(notify), std::move(aside),
                                            load);
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe
