// What an inference actor is told at its start, and what it shows of its load.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/cuda_engine.hpp"
#include "kernels/kv/kv_type.hpp"

namespace troupe {

enum class engine_choice {
  cpu,
  cuda,  // a GPU; the processor where none can be used, with a warning
  any,   // a GPU where one is found
};

struct inference_settings {
  std::string node;  // own node's name
  std::uint64_t incarnation =
      0;            // of the node; a fence that names another one is refused. 0: not checked
  int threads = 0;  // 0: the machine's cores
  std::vector<int> affinity;  // cores for the engine's threads; empty: no pinning
  std::string variant;        // instruction set; empty: the best of this machine
  engine_choice engine = engine_choice::cpu;
  kernels::cuda_settings cuda;
  bool gpu_partial = true;  // a model that a GPU has no room for: its first layers, if no more
  // Weights and KV of a model that a GPU was to take and did not; 0: as the loader allows.
  std::uint64_t processor_bytes_max = 0;
  std::uint32_t batch_tokens_max = 512;         // in one step
  std::uint32_t batch_sequences_max = 32;       // in one step
  std::uint32_t prefill_chunk_max = 128;        // prompt tokens in one step beside decodes
  kernels::kv_type kv = kernels::kv_type::f16;  // a numerics class of its own
  std::uint64_t kv_host_bytes = 0;              // of each model, behind its KV store; 0: none
  bool batching = true;                         // off: one sequence of a model at a time
  std::chrono::milliseconds batch_wait{0};      // longest wait of an idle engine for more sequences
  std::chrono::milliseconds ageing{10'000};     // wait that lifts a sequence by one priority
  std::uint32_t sequences_running_max = 32;     // in one model
  std::uint32_t sequences_waiting_max = 1024;   // over all models; more are refused
  std::uint32_t sequence_tokens_max =
      1u << 20;                         // prompt and answer of one sequence, whatever the context
  std::uint32_t stops_max = 16;         // stop texts of one sequence
  std::uint32_t stop_bytes_max = 1024;  // of one stop text
  std::uint32_t alternatives_max = 20;  // beside one token
  std::uint64_t score_bytes_max = 64u << 20;  // logits of one step's scoring jobs
  std::uint32_t tenants_kept = 4096;  // tenants without a sequence whose share is remembered
  std::uint32_t fences_kept = 8192;   // ended jobs whose fence is remembered
  std::uint32_t canary_tokens = 8;
  std::chrono::milliseconds stage_open_wait{600'000};  // for another node's part of a model
  std::chrono::milliseconds stage_step_wait{30'000};   // for its share of one step
  std::uint32_t prefixes_shown_max = 256;              // names of KV blocks in inference_load
  std::chrono::milliseconds credit_wait{300'000};  // a sequence without credit for so long is ended
  std::chrono::milliseconds stall_grace{250};      // without credit for so long, others may take
                                                   // its memory
};

// What one engine does now, and has done since it was loaded.
struct engine_use {
  std::uint32_t running = 0, waiting = 0;           // sequences
  std::uint32_t kv_blocks = 0, kv_blocks_used = 0;  // used: by sequences
  std::uint32_t kv_blocks_reusable = 0;             // kept for a prompt that begins alike
  std::uint64_t preemptions = 0;
  std::uint64_t prefix_tokens_asked = 0;     // prompt tokens of admitted sequences
  std::uint64_t prefix_tokens_hit = 0;       // of these, those whose KV was there already
  std::uint64_t prefix_tokens_restored = 0;  // of these, brought back from host memory
  std::uint32_t host_blocks = 0, host_blocks_used = 0;  // KV blocks that host memory takes, and has
  std::uint64_t host_block_bytes = 0;
  std::uint64_t host_blocks_copied_out = 0, host_blocks_restored = 0;
  std::uint64_t host_blocks_dropped = 0;  // named blocks that neither memory has any more
  kernels::engine_counters device;
};
using engine_uses = std::map<std::string, engine_use>;  // by the model's digest

// Threading: any thread reads; the inference actor writes.
struct inference_load {
  std::atomic<std::uint32_t> running{0};
  std::atomic<std::uint32_t> waiting{0};
  std::atomic<std::uint32_t> running_max{0};
  std::atomic<std::uint64_t> frames_fenced{0};  // dropped for an old fence
  std::atomic<double> decode_tokens_per_second{0};

  void set_engines(engine_uses engines) {
    const std::lock_guard lock{guard_};
    engines_ = std::move(engines);
  }
  engine_uses engines() const {
    const std::lock_guard lock{guard_};
    return engines_;
  }
  // Sequences, running and waiting, of that model.
  std::uint32_t sequences_of(const std::string& digest) const {
    const std::lock_guard lock{guard_};
    const auto found = engines_.find(digest);
    return found == engines_.end() ? 0 : found->second.running + found->second.waiting;
  }

  void set_prefixes(std::vector<std::uint64_t> names) {
    const std::lock_guard lock{guard_};
    prefixes_ = std::move(names);
  }
  // A bounded choice of the names of KV blocks held here (actors/prefix_name.hpp), for heartbeats;
  // as of the last second.
  std::vector<std::uint64_t> prefixes() const {
    const std::lock_guard lock{guard_};
    return prefixes_;
  }

 private:
  mutable std::mutex guard_;
  engine_uses engines_;
  std::vector<std::uint64_t> prefixes_;
};

}  // namespace troupe
