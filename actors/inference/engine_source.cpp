#include "actors/inference/engine_source.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "kernels/kv/kv_transfer.hpp"
#include "kernels/model/model.hpp"

namespace troupe {
namespace {

class configured_engine_source final : public engine_source {
 public:
  configured_engine_source(const inference_settings& settings, cuda_maker on_gpu,
                           stage_opener remote)
      : settings_(settings), on_gpu_(std::move(on_gpu)), remote_(std::move(remote)) {}

  result<made_engine> make(const proto::LoadEngine& wish) override {
    const auto begin = std::chrono::steady_clock::now();
    auto weights = kernels::model::open(wish.path());
    if (!weights) return weights.failure();
    const auto own = own_layers(wish, (*weights)->shape.layers);
    if (!own) return own.failure();
    const kernels::memory_need need = kernels::cpu_memory_need(**weights, settings_.kv, *own);
    if (wish.weight_bytes_max() > 0 && need.weight_bytes > wish.weight_bytes_max())
      return error{error_code::resource_exhausted,
                   "the weights of " + wish.path() + " take " + std::to_string(need.weight_bytes) +
                       " bytes; " + std::to_string(wish.weight_bytes_max()) + " are allowed",
                   "raise the node's memory budget or use a smaller quantization"};
    kernels::engine_settings engine_settings;
    engine_settings.threads = settings_.threads;
    engine_settings.kv_bytes = wish.kv_bytes();
    engine_settings.kv_bytes_least = least_kv_bytes(**weights, need);
    engine_settings.kv = settings_.kv;
    engine_settings.batch_tokens_max = settings_.batch_tokens_max;
    engine_settings.variant = settings_.variant;
    engine_settings.affinity = settings_.affinity;
    made_engine made;
    const bool whole = wish.stages().empty();
    if (whole && settings_.engine != engine_choice::cpu) {
      refused_.reset();
      made = make_on_gpu(*weights, engine_settings, need);
      if (made.engine == nullptr && wish.refuse_full_gpu() && refused_ &&
          refused_->code == error_code::resource_exhausted)
        return *refused_;
    }
    if (made.engine == nullptr) {
      if (const auto more = fit_processor(engine_settings, need)) return *more;
      engine_settings.layers = *own;
      auto engine = whole ? kernels::make_cpu_engine(*weights, engine_settings)
                          : make_in_parts(*weights, engine_settings, wish);
      if (!engine) return engine.failure();
      made.engine = std::move(*engine);
      auto canary = run_canary(*made.engine, *(*weights)->words, settings_.canary_tokens);
      if (!canary) return canary.failure();
      made.facts.canary_ids = std::move(*canary);
    }
    made.facts.description = made.engine->description();
    open_host_memory(made);
    made.facts.words = (*weights)->words;
    made.facts.load_us =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                       std::chrono::steady_clock::now() - begin)
                                       .count());
    return made;
  }

 private:
  // What a GPU whose memory is short is to have room for at least.
  static std::uint64_t least_kv_bytes(const kernels::model& weights,
                                      const kernels::memory_need& need) {
    constexpr std::uint32_t tokens_least = 1024;
    return need.kv_block_bytes *
           kernels::blocks_for(std::min(weights.shape.context_tokens, tokens_least));
  }

  // The budget may be a GPU's, which has more memory than the processor: less KV then, or why not.
  std::optional<error> fit_processor(kernels::engine_settings& settings,
                                     const kernels::memory_need& need) const {
    const std::uint64_t most = settings_.processor_bytes_max;
    if (most == 0) return std::nullopt;
    if (need.weight_bytes + settings.kv_bytes_least > most)
      return error{error_code::resource_exhausted,
                   "no GPU takes the model (" +
                       (refused_ ? refused_->message : std::string("none was asked")) +
                       "), and with its weights of " + std::to_string(need.weight_bytes) +
                       " bytes it is too large for the processor, which has " +
                       std::to_string(most),
                   "use a smaller quantization or more GPUs (gpu.devices)"};
    settings.kv_bytes = std::min(settings.kv_bytes, most - need.weight_bytes);
    return std::nullopt;
  }

  // All but those of the other nodes.
  result<kernels::layer_range> own_layers(const proto::LoadEngine& wish,
                                          std::uint32_t layers) const {
    std::uint64_t elsewhere = 0;
    for (const proto::StagePart& part : wish.stages()) elsewhere += part.layers();
    if (elsewhere > 0 && !remote_)
      return error{error_code::unsupported, "this node computes no model in parts", {}};
    if (elsewhere >= layers)
      return error{error_code::invalid_argument,
                   "the split of " + wish.name() + " gives " + std::to_string(elsewhere) + " of " +
                       std::to_string(layers) + " layers to other nodes",
                   "leave at least one to this node in models.split"};
    return kernels::layer_range{0, layers - static_cast<std::uint32_t>(elsewhere)};
  }

  // Own layers first; the other nodes open theirs one after the other.
  result<std::unique_ptr<kernels::engine>> make_in_parts(
      const std::shared_ptr<const kernels::model>& weights,
      const kernels::engine_settings& settings, const proto::LoadEngine& wish) {
    auto here = kernels::make_cpu_stage(weights, settings);
    if (!here) return here.failure();
    remote_stage_wish next;
    next.digest = wish.model_digest();
    next.kv_blocks = (*here)->description().kv_blocks;
    next.kv = settings.kv;
    next.batch_tokens_max = settings.batch_tokens_max;
    next.vocabulary = weights->shape.vocabulary;
    next.embedding = weights->shape.embedding;
    next.open_wait = settings_.stage_open_wait;
    next.step_wait = settings_.stage_step_wait;
    next.layers.end = (*here)->layers().end;
    std::vector<std::unique_ptr<kernels::stage>> stages;
    stages.push_back(std::move(*here));
    for (const proto::StagePart& part : wish.stages()) {
      next.node = part.node();
      next.layers = {next.layers.end, next.layers.end + part.layers()};
      next.last = next.layers.end == weights->shape.layers;
      auto opened = remote_(next);
      if (!opened) return opened.failure();
      stages.push_back(std::move(*opened));
    }
    return kernels::make_split_engine(weights, settings.batch_tokens_max, std::move(stages));
  }

  // Without an engine where the GPU is refused.
  made_engine make_on_gpu(const std::shared_ptr<const kernels::model>& weights,
                          const kernels::engine_settings& settings,
                          const kernels::memory_need& need) {
    made_engine made;
    auto engine = on_gpu_(weights, settings, settings_.cuda);
    if (!engine) return refuse(engine.failure());
    auto canary = run_canary(**engine, *weights->words, settings_.canary_tokens);
    if (!canary) return refuse(canary.failure());
    const std::uint64_t judge_kv = need.kv_block_bytes * canary_blocks(**engine);
    const std::uint64_t room = settings_.processor_bytes_max;
    const bool fits = room == 0 || need.weight_bytes + judge_kv <= room;
    const status right = fits ? judge_whole(weights, settings, judge_kv, **engine, *canary)
                              : judge_by_ranges(weights, settings, room, *canary);
    if (!right) return refuse(right.failure());
    if ((*engine)->description().kv_bytes < settings.kv_bytes)
      spdlog::info("gpu_kv_smaller bytes={} asked={}", (*engine)->description().kv_bytes,
                   settings.kv_bytes);
    made.engine = std::move(*engine);
    made.facts.canary_ids = std::move(*canary);
    return made;
  }

  static error wrong_canary() {
    return {error_code::internal, "the GPU's canary is not the processor's",
            "this GPU or its driver computes differently: do not use it"};
  }

  // In the processor's order of arithmetic tokens must be equal; in an order of its own an engine
  // may choose otherwise at a near-tie, so that its logits are judged along the processor's tokens.
  status judge_whole(const std::shared_ptr<const kernels::model>& weights,
                     kernels::engine_settings settings, std::uint64_t kv_bytes,
                     kernels::engine& on_gpu, const std::vector<kernels::token_id>& canary) const {
    settings.kv_bytes = kv_bytes;
    auto processor = kernels::make_cpu_engine(weights, settings);
    if (!processor) return processor.failure();
    auto wanted = run_canary(**processor, *weights->words, settings_.canary_tokens);
    if (!wanted) return wanted.failure();
    if (settings_.cuda.numerics == kernels::gpu_numerics::exact)
      return canary == *wanted ? status{} : wrong_canary();
    const auto behind = walk_along_canary(on_gpu, **processor, *weights->words, *wanted);
    if (!behind) return behind.failure();
    spdlog::info(
        "gpu_canary class={} judged=\"logits along the processor's tokens\" tokens={} equal={} "
        "behind={:.3f} allowed={}",
        on_gpu.description().numerics_class, wanted->size(), canary == *wanted, *behind,
        canary_distance_max);
    return {};
  }

  // A model that the GPU's memory holds and the processor's does not.
  status judge_by_ranges(const std::shared_ptr<const kernels::model>& weights,
                         const kernels::engine_settings& settings, std::uint64_t room,
                         const std::vector<kernels::token_id>& canary) const {
    const auto behind = judge_in_ranges(weights, settings, room / 2, canary);
    if (!behind) return behind.failure();
    const bool exact = settings_.cuda.numerics == kernels::gpu_numerics::exact;
    spdlog::info(
        "gpu_canary judged=\"in ranges of layers, the model being too large\" behind={:.3f}",
        *behind);
    return *behind <= (exact ? 0.0 : canary_distance_max) ? status{} : wrong_canary();
  }

  // As many as run_canary() can use, no more than the engine under test has: both are then cut to
  // the same prompt and count.
  std::uint64_t canary_blocks(const kernels::engine& on) const {
    constexpr std::uint64_t prompt_tokens_max = 16;
    return std::min<std::uint64_t>(kernels::blocks_for(prompt_tokens_max + settings_.canary_tokens),
                                   on.description().kv_blocks);
  }

  // Where it cannot be had the model is served all the same.
  void open_host_memory(made_engine& made) const {
    if (settings_.kv_host_bytes == 0) return;
    kernels::kv_transfer* const transfer = made.engine->transfer();
    if (transfer == nullptr) {
      spdlog::info("kv_host_not_used reason=\"the model's layers lie in several places\"");
      return;
    }
    const auto places = transfer->open(settings_.kv_host_bytes);
    if (!places) {
      spdlog::warn("kv_host_refused reason=\"{}\": blocks are kept in the KV store alone",
                   places.failure().text());
      return;
    }
    made.facts.host_places = *places;
    made.facts.host_block_bytes = transfer->block_bytes();
  }

  // A GPU that is absent is news only to who asked for it; one that computes wrongly always is.
  made_engine refuse(const error& why) {
    refused_ = why;
    if (settings_.engine == engine_choice::cuda || why.code != error_code::unsupported)
      spdlog::warn("gpu_refused reason=\"{}\": the processor computes", why.text());
    else
      spdlog::info("gpu_not_used reason=\"{}\"", why.text());
    return {};
  }

  inference_settings settings_;
  cuda_maker on_gpu_;
  stage_opener remote_;
  std::optional<error> refused_;  // why the last model was not made on a GPU
};

}  // namespace

std::shared_ptr<engine_source> make_engine_source(const inference_settings& settings,
                                                  cuda_maker on_gpu, stage_opener remote) {
  return std::make_shared<configured_engine_source>(settings, std::move(on_gpu), std::move(remote));
}

}  // namespace troupe
