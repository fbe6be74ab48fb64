#include "cluster/node/engine_readings.hpp"

namespace troupe::cluster {

void read_engines(const inference_load& load, proto::NodeMetrics& to) {
  for (const auto& [digest, use] : load.engines()) {
    proto::EngineMetrics& engine = *to.add_engines();
    engine.set_model_digest(digest);
    engine.set_running(use.running);
    engine.set_waiting(use.waiting);
    engine.set_kv_blocks(use.kv_blocks);
    engine.set_kv_blocks_used(use.kv_blocks_used);
    engine.set_kv_blocks_reusable(use.kv_blocks_reusable);
    engine.set_prefix_tokens_asked(use.prefix_tokens_asked);
    engine.set_prefix_tokens_hit(use.prefix_tokens_hit);
    engine.set_preemptions(use.preemptions);
    engine.set_steps(use.device.steps);
    engine.set_steps_replayed(use.device.steps_replayed);
    engine.set_graphs_recorded(use.device.graphs_recorded);
    engine.set_host_blocks(use.host_blocks);
    engine.set_host_blocks_used(use.host_blocks_used);
    engine.set_host_block_bytes(use.host_block_bytes);
    engine.set_host_blocks_copied_out(use.host_blocks_copied_out);
    engine.set_host_blocks_restored(use.host_blocks_restored);
    engine.set_host_blocks_dropped(use.host_blocks_dropped);
    engine.set_prefix_tokens_restored(use.prefix_tokens_restored);
  }
}

}  // namespace troupe::cluster
