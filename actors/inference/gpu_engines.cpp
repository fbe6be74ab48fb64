#include "actors/inference/gpu_engines.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>

#include "kernels/model/model.hpp"
#include "kernels/stage.hpp"

namespace troupe {
namespace {

constexpr std::uint32_t tokens_beside_layers = 8192;
constexpr int tries_max = 6;

error wrong_canary() {
  return {error_code::internal, "the GPU's canary is not the processor's",
          "this GPU or its driver computes differently: do not use it"};
}

}  // namespace

result<gpu_engines::judged_engine> gpu_engines::whole(const weights_ptr& weights,
                                                      const kernels::engine_settings& settings,
                                                      const kernels::memory_need& need) const {
  auto engine = doors_.whole(weights, settings, settings_.cuda);
  if (!engine) return engine.failure();
  auto canary = run_canary(**engine, *weights->words, settings_.canary_tokens);
  if (!canary) return canary.failure();
  const std::uint64_t judge_kv = need.kv_block_bytes * canary_blocks(**engine);
  const std::uint64_t room = settings_.processor_bytes_max;
  const bool fits = room == 0 || need.weight_bytes + judge_kv <= room;
  const status right = fits ? judge_whole(weights, settings, judge_kv, **engine, *canary)
                            : judge(weights, settings, 0, *canary);
  if (!right) return right.failure();
  if ((*engine)->description().kv_bytes < settings.kv_bytes)
    spdlog::info("gpu_kv_smaller bytes={} asked={}", (*engine)->description().kv_bytes,
                 settings.kv_bytes);
  return judged_engine{std::move(*engine), std::move(*canary)};
}

// In the processor's order of arithmetic tokens must be equal; in an order of its own an engine may
// choose otherwise at a near-tie, so that its logits are judged along the processor's tokens.
status gpu_engines::judge_whole(const weights_ptr& weights, kernels::engine_settings settings,
                                std::uint64_t kv_bytes, kernels::engine& on_gpu,
                                const std::vector<kernels::token_id>& canary) const {
  settings.kv_bytes = kv_bytes;
  auto processor = kernels::make_cpu_engine(weights, settings);
  if (!processor) return processor.failure();
  auto wanted = run_canary(**processor, *weights->words, settings_.canary_tokens);
  if (!wanted) return wanted.failure();
  if (exact()) return canary == *wanted ? status{} : wrong_canary();
  const auto behind = walk_along_canary(on_gpu, **processor, *weights->words, *wanted);
  if (!behind) return behind.failure();
  spdlog::info(
      "gpu_canary class={} judged=\"logits along the processor's tokens\" tokens={} equal={} "
      "behind={:.3f} allowed={}",
      on_gpu.description().numerics_class, wanted->size(), canary == *wanted, *behind,
      canary_distance_max);
  return {};
}

status gpu_engines::judge(const weights_ptr& weights, const kernels::engine_settings& settings,
                          std::uint64_t bytes_used,
                          const std::vector<kernels::token_id>& canary) const {
  const std::uint64_t most = settings_.processor_bytes_max;
  const std::uint64_t room = most == 0 ? std::numeric_limits<std::uint64_t>::max()
                                       : (most - std::min(most, bytes_used)) / 2;
  const auto behind = judge_in_ranges(weights, settings, room, canary);
  if (!behind) return behind.failure();
  spdlog::info("gpu_canary judged=\"by the processor in ranges of layers\" tokens={} behind={:.3f}",
               canary.size(), *behind);
  return *behind <= (exact() ? 0.0 : canary_distance_max) ? status{} : wrong_canary();
}

// What is expected to fit, and less where the pools' pieces take more.
result<std::unique_ptr<kernels::stage>> gpu_engines::first_layers(
    const weights_ptr& weights, const kernels::engine_settings& settings,
    const kernels::memory_need& need) const {
  const auto blocks_of = [&](std::uint64_t bytes) { return bytes / need.kv_block_bytes; };
  const auto fit = doors_.layers_that_fit(*weights, settings, settings_.cuda);
  if (!fit) return fit.failure();
  std::uint32_t count = std::min(*fit, weights->shape.layers - 1);
  for (int i = 0; count > 0 && i < tries_max; ++i, count -= std::max(1u, count / 8)) {
    kernels::engine_settings first = settings;
    first.layers = {0, count};
    const std::uint64_t of_block =
        kernels::cpu_memory_need(*weights, settings.kv, first.layers).kv_block_bytes;
    first.kv_bytes = blocks_of(settings.kv_bytes) * of_block;
    first.kv_bytes_least = blocks_of(settings.kv_bytes_least) * of_block;
    auto made = part(weights, first);
    if (made || made.failure().code != error_code::resource_exhausted) return made;
  }
  return error{error_code::resource_exhausted, "the GPU has room for no layer of the model",
               "unload a model, or lower gpu.reserve_bytes"};
}

// `bytes`: what it takes of the processor's memory.
result<std::unique_ptr<kernels::stage>> gpu_engines::rest_behind(const kernels::stage& first,
                                                                 const weights_ptr& weights,
                                                                 kernels::engine_settings settings,
                                                                 std::uint64_t& bytes) const {
  settings.layers = {first.layers().end, weights->shape.layers};
  const kernels::memory_need need =
      kernels::cpu_memory_need(*weights, settings.kv, settings.layers);
  settings.kv_bytes = need.kv_block_bytes * first.description().kv_blocks;
  bytes = need.weight_bytes + settings.kv_bytes;
  if (settings_.processor_bytes_max > 0 && bytes > settings_.processor_bytes_max)
    return error{error_code::resource_exhausted,
                 "a GPU has room for " + std::to_string(first.layers().end) + " of " +
                     std::to_string(weights->shape.layers) + " layers, and the others take " +
                     std::to_string(bytes) + " bytes of the processor's " +
                     std::to_string(settings_.processor_bytes_max),
                 "use a smaller quantization, or give layers to another node (models.split)"};
  return kernels::make_cpu_stage(weights, settings);
}

result<gpu_engines::judged_engine> gpu_engines::partly(const weights_ptr& weights,
                                                       const kernels::engine_settings& settings,
                                                       const kernels::memory_need& need) const {
  kernels::engine_settings wish = settings;
  wish.kv_bytes = std::min(
      settings.kv_bytes,
      need.kv_block_bytes *
          kernels::blocks_for(std::min(weights->shape.context_tokens, tokens_beside_layers)));
  auto first = first_layers(weights, wish, need);
  if (!first) return first.failure();
  std::uint64_t bytes = 0;
  auto rest = rest_behind(**first, weights, wish, bytes);
  if (!rest) return rest.failure();
  const std::uint32_t on_gpu = (*first)->layers().end;
  std::vector<std::unique_ptr<kernels::stage>> stages;
  stages.push_back(std::move(*first));
  stages.push_back(std::move(*rest));
  auto engine = kernels::make_split_engine(weights, settings.batch_tokens_max, std::move(stages));
  if (!engine) return engine.failure();
  auto canary = run_canary(**engine, *weights->words, settings_.canary_tokens);
  if (!canary) return canary.failure();
  if (status right = judge(weights, settings, bytes, *canary); !right) return right.failure();
  spdlog::info("gpu_partly layers={} of={} kv_blocks={}", on_gpu, weights->shape.layers,
               (*engine)->description().kv_blocks);
  return judged_engine{std::move(*engine), std::move(*canary)};
}

// As many as run_canary() can use, no more than the engine under test has: both are then cut to the
// same prompt and count.
std::uint64_t gpu_engines::canary_blocks(const kernels::engine& on) const {
  constexpr std::uint64_t prompt_tokens_max = 16;
  return std::min<std::uint64_t>(kernels::blocks_for(prompt_tokens_max + settings_.canary_tokens),
                                 on.description().kv_blocks);
}

}  // namespace troupe
