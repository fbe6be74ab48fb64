#include "actors/stages/stages_actor.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "actors/spawn.hpp"
#include "actors/stages/stage_messages.hpp"
#include "kernels/model/model.hpp"

namespace troupe {
namespace {

struct stage_report : role_event {
  std::string stage;
  std::uint32_t tokens_max = 0;
  mutable std::optional<result<std::unique_ptr<kernels::stage>>> made;  // taken by the one reader
};

result<std::unique_ptr<kernels::stage>> make_stage(const stages_settings& settings,
                                                   const stage_opening& opening) {
  const proto::OpenStage& wish = opening.wish;
  auto weights = kernels::model::open(opening.path);
  if (!weights) return weights.failure();
  kernels::engine_settings wanted;
  wanted.threads = settings.threads;
  wanted.affinity = settings.affinity;
  wanted.variant = settings.variant;
  wanted.kv = wish.kv_type() == "q8_0" ? kernels::kv_type::q8_0 : kernels::kv_type::f16;
  wanted.batch_tokens_max = wish.batch_tokens_max();
  wanted.layers = {wish.layer_first(), wish.layer_end()};
  if (wanted.layers.end > (*weights)->shape.layers)
    return error{error_code::invalid_argument,
                 "layers up to " + std::to_string(wanted.layers.end) + " of a model of " +
                     std::to_string((*weights)->shape.layers),
                 "correct models.split at the head"};
  const kernels::memory_need need = kernels::cpu_memory_need(**weights, wanted.kv, wanted.layers);
  if (need.weight_bytes + need.kv_block_bytes > opening.bytes_max)
    return error{error_code::resource_exhausted,
                 "layers " + std::to_string(wanted.layers.first) + " to " +
                     std::to_string(wanted.layers.end - 1) + " take " +
                     std::to_string(need.weight_bytes) + " bytes; " +
                     std::to_string(opening.bytes_max) + " are left for stages",
                 "raise stages.memory_max there, or give that node fewer layers"};
  wanted.kv_bytes = std::min<std::uint64_t>(std::uint64_t{wish.kv_blocks()} * need.kv_block_bytes,
                                            opening.bytes_max - need.weight_bytes);
  return kernels::make_cpu_stage(*weights, wanted);
}

}  // namespace

stage_maker make_stage_maker(const stages_settings& settings) {
  return [settings](const stage_opening& opening) { return make_stage(settings, opening); };
}

stages_role::stages_role(const stages_settings& settings, post_office& office, notify_self notify,
                         stage_maker maker, std::unique_ptr<background> aside,
                         std::shared_ptr<stages_load> load)
    : office_(office),
      notify_(std::move(notify)),
      maker_(std::move(maker)),
      core_(settings),
      load_(std::move(load)),
      aside_(std::move(aside)) {}

void stages_role::tick(time_point_us now) {
  carry_out(core_.tick(now));
  if (load_) load_->show(core_.shown());
}

void stages_role::receive(const envelope_ptr& message, time_point_us now) {
  carry_out(core_.step(message, now));
}

void stages_role::notice(const role_event& event, time_point_us) {
  if (const auto* lost = dynamic_cast<const node_lost*>(&event)) {
    carry_out(core_.lose_node(lost->node));
  } else if (const auto* report = dynamic_cast<const stage_report*>(&event)) {
    result<std::unique_ptr<kernels::stage>> made = std::move(*report->made);
    result<kernels::engine_description> told = error{};
    if (made) {
      spdlog::info("stage_opened layers={}..{} weight_bytes={}", (*made)->layers().first,
                   (*made)->layers().end, (*made)->description().weight_bytes);
      told = (*made)->description();
      stages_[report->stage] = std::move(*made);
      tokens_max_[report->stage] = report->tokens_max;
    } else {
      spdlog::error("stage_failed reason=\"{}\"", made.failure().text());
      told = made.failure();
    }
    carry_out(core_.stage_made(report->stage, told));
  }
}

envelope_ptr stages_role::compute(const proto::Envelope& request) {
  const std::string& name = request.step_stage().stage();
  const auto begin = std::chrono::steady_clock::now();
  kernels::stage& at = *stages_.at(name);
  const auto step = step_of(request.step_stage(), tokens_max_.at(name));
  if (!step) return refuse(request, step.failure());
  if (const status begun = at.begin(step->batch, step->stream); !begun)
    return refuse(request, begun.failure());
  const auto out = at.finish();
  if (!out) return refuse(request, out.failure());
  auto reply = std::make_shared<proto::Envelope>(reply_to(request));
  *reply->mutable_stage_stepped() = stepped_message(name, *out);
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto step_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  reply->mutable_stage_stepped()->set_step_us(step_us);
  core_.stepped(name, step_us);
  return reply;
}

void stages_role::carry_out(stages_core::effects effects) {
  for (const std::string& name : effects.drops) {
    stages_.erase(name);
    tokens_max_.erase(name);
  }
  for (envelope_ptr& message : effects.posts) office_.post(std::move(message));
  for (const envelope_ptr& request : effects.steps) office_.post(compute(*request));
  if (!effects.open) return;
  aside_->run([opening = *std::move(effects.open), maker = maker_, notify = notify_] {
    auto report = std::make_shared<stage_report>();
    report->stage = opening.stage;
    report->tokens_max = opening.wish.batch_tokens_max();
    report->made = maker(opening);
    notify(std::move(report));
  });
}

role_handle spawn_stages(caf::actor_system& system, const stages_settings& settings,
                         post_office& office, std::shared_ptr<actor_gauge> gauge,
                         std::shared_ptr<stages_load> load) {
  role_plan plan;
  plan.name = "stages";
  plan.gauge = std::move(gauge);
  plan.mailbox_max = 4096;
  plan.detached = true;
  plan.make = [settings, &office,
               load = std::move(load)](notify_self notify) -> std::unique_ptr<role> {
    return std::make_unique<stages_role>(settings, office, std::move(notify),
                                         make_stage_maker(settings),
                                         std::make_unique<background_thread>(), load);
  };
  return spawn_role(system, std::move(plan));
}

role_handle spawn_stage_desk(caf::actor_system& system, std::shared_ptr<stage_desk> desk,
                             std::shared_ptr<actor_gauge> gauge) {
  role_plan plan;
  plan.name = "stage_desk";
  plan.gauge = std::move(gauge);
  plan.mailbox_max = 4096;
  plan.make = [desk = std::move(desk)](const notify_self&) -> std::unique_ptr<role> {
    return std::make_unique<stage_desk_role>(desk);
  };
  return spawn_role(system, std::move(plan));
}

}  // namespace troupe
