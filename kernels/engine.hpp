// The engine door: everything outside kernels/ computes through this header.
//
// An engine owns its weights' device form, a paged KV store and its worker threads. One thread at a
// time calls it (the inference actor that owns the device); it throws nothing. A row's bits depend
// on that row's tokens alone: not on the batch around it, on how its prompt was cut into steps, on
// the block numbers it lies in, nor on the thread count.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/kv/kv_type.hpp"
#include "kernels/ops/best_logits.hpp"

namespace troupe::kernels {

using token_id = std::int32_t;
using block_id = std::uint32_t;

// Positions in one block of KV.
inline constexpr std::uint32_t kv_block_tokens = 16;
// Blocks that hold `tokens` positions.
constexpr std::uint64_t blocks_for(std::uint64_t tokens) {
  return (tokens + kv_block_tokens - 1) / kv_block_tokens;
}

class model;  // kernels/model/model.hpp: hyperparameters, tensors and tokenizer of one mapped file;
              // immutable, shareable
class kv_transfer;  // kernels/kv/kv_transfer.hpp: copies of KV blocks to host memory and back

// Which layers are computed here: first .. end - 1; end 0: to the last one.
struct layer_range {
  std::uint32_t first = 0, end = 0;
};

struct engine_settings {
  int threads = 0;  // 0: the machine's cores
  std::uint64_t kv_bytes =
      0;  // bound of the paged KV store; 0: room for one sequence of the model's context
  // Where a GPU's memory is short, its KV store may be as small as this; 0: not smaller.
  std::uint64_t kv_bytes_least = 0;
  kv_type kv = kv_type::f16;
  std::uint32_t batch_tokens_max = 512;  // most tokens in one step
  std::string variant =
      {};  // "" = best of this machine; else "reference", "portable", "avx2", "avx512", "amx"
  std::vector<int> affinity = {};  // cores to pin the worker threads to; empty: no pinning
  layer_range layers = {};         // of a stage (stage.hpp); an engine has all
};

// One sequence's share of a step: tokens[i] stands at position `position + i`; blocks[p / 16] holds
// position p, for every p < position + tokens.size(). Positions before `position` were computed in
// earlier steps in those blocks.
struct sequence_step {
  std::span<const token_id> tokens;
  std::uint32_t position = 0;
  std::span<const block_id> blocks;
  bool all_logits = false;  // logits of every token (scoring); else of the last token alone
  bool no_logits = false;   // a prompt chunk that is not the last: no logits are returned
  bool hidden = false;      // the hidden row of every token, after the final norm
  // Of the last token's logits only so many best are returned, and no row: for a sampler that reads
  // no other (best_needed()). 0: the row; at most best_logits_max; not with all_ or no_logits.
  std::uint32_t best = 0;
};

// Row-major logits, one row of vocabulary_size floats for each token that was asked for, in the
// order of the steps.
struct step_logits {
  std::span<const float> values;  // valid until the next call
  std::uint32_t rows = 0;
  std::span<const float> hidden;  // likewise, rows of embedding_size floats
  // Likewise, one for each sequence that asked for its best, with the bits of best_of(its row).
  std::span<const best_logits> best = {};
};

struct engine_description {
  std::string backend;         // "cpu"
  std::string numerics_class;  // "cpu-1", "cpu-1-kvq8"
  std::string variant = {};    // the instruction set in use, which does not change the bits
  std::uint32_t vocabulary_size = 0;
  std::uint32_t embedding_size = 0;
  std::uint32_t context_tokens_max = 0;
  std::uint32_t kv_blocks = 0;     // block ids are 0 .. kv_blocks - 1
  std::uint64_t weight_bytes = 0;  // device memory that the weights take
  std::uint64_t kv_bytes = 0;
};

// Since the engine was made.
struct engine_counters {
  std::uint64_t steps = 0;
  std::uint64_t steps_replayed = 0;   // of these, one recorded graph each (GPUs)
  std::uint64_t graphs_recorded = 0;  // a shape that was forgotten is recorded again
};

class engine {
 public:
  virtual ~engine() = default;
  virtual const engine_description& description() const = 0;
  // Computes one step of a batch of sequences. Refuses (invalid_argument) tokens outside the
  // vocabulary, positions past the context, missing or out-of-range blocks, and more than
  // batch_tokens_max tokens; nothing is then computed.
  virtual result<step_logits> step(std::span<const sequence_step> batch) = 0;
  virtual engine_counters counters() const { return {}; }
  // Null: it cannot (its layers lie in several places).
  virtual kv_transfer* transfer() { return nullptr; }
  // Why what it held is gone: every further step fails, and its blocks hold nothing. nullopt: it is
  // sound, whatever a single step may have failed with.
  virtual std::optional<error> lost() const { return std::nullopt; }
};

result<std::unique_ptr<engine>> make_cpu_engine(std::shared_ptr<const model> weights,
                                                const engine_settings& settings);

// Estimate before loading: bytes of weights and of one KV block on that backend.
struct memory_need {
  std::uint64_t weight_bytes = 0;
  std::uint64_t kv_block_bytes = 0;
};
memory_need cpu_memory_need(const model& weights, kv_type kv = kv_type::f16,
                            layer_range layers = {});

}  // namespace troupe::kernels
