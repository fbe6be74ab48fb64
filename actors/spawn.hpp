// How a node starts its roles. Each call starts a fresh actor; a restart is another call with the
// same settings and gauge.
//
// `office` must outlive the actors. Orderly end: stop() each handle, await the actors' down
// messages, then destroy the actor_system, then the office. Envelopes reach a role through its
// handle (role_handle::deliver), which says false where the actor is gone or its mailbox full; the
// node then answers UNAVAILABLE or RESOURCE_EXHAUSTED to a sender that waits. News that the node
// delivers as events: node_lost to "inference", "stages", "stage_desk" and "model_loader";
// actor_restarted{"inference"} to "model_loader".
#pragma once

#include <memory>

#include "actors/cache_tier/cache_settings.hpp"
#include "actors/inference/inference_settings.hpp"
#include "actors/model_loader/loader_settings.hpp"
#include "actors/monitoring/monitoring_settings.hpp"
#include "actors/shell/role_actor.hpp"
#include "actors/stages/stage_desk.hpp"
#include "actors/stages/stages_core.hpp"
#include "actors/stages/stages_load.hpp"

namespace troupe {

// load: where the loader sees which models are in use before it unloads one; may be null.
role_handle spawn_model_loader(caf::actor_system& system, const loader_settings& settings,
                               post_office& office, std::shared_ptr<actor_gauge> gauge,
                               std::shared_ptr<const inference_load> load = nullptr);

// load: written by the actor for the node's heartbeats; may be null. desk: where it waits for other
// nodes' stages; null: a model in parts is refused.
role_handle spawn_inference(caf::actor_system& system, const inference_settings& settings,
                            post_office& office, std::shared_ptr<actor_gauge> gauge,
                            std::shared_ptr<inference_load> load = nullptr,
                            std::shared_ptr<stage_desk> desk = nullptr);

// load: what it computes for others, written by the actor; may be null.
role_handle spawn_stages(caf::actor_system& system, const stages_settings& settings,
                         post_office& office, std::shared_ptr<actor_gauge> gauge,
                         std::shared_ptr<stages_load> load = nullptr);

role_handle spawn_stage_desk(caf::actor_system& system, std::shared_ptr<stage_desk> desk,
                             std::shared_ptr<actor_gauge> gauge);

role_handle spawn_cache_tier(caf::actor_system& system, const cache_settings& settings,
                             post_office& office, std::shared_ptr<actor_gauge> gauge);

role_handle spawn_monitoring(caf::actor_system& system, const monitoring_settings& settings,
                             post_office& office, std::shared_ptr<actor_gauge> gauge,
                             monitoring_sources sources);

}  // namespace troupe
