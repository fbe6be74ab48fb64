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
  configured_engine_source(const inference_settings& settings, gpu_doors gpu, stage_opener remote)
      : settings_(settings), gpu_(settings, std::move(gpu)), remote_(std::move(remote)) {}

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
    refused_.reset();
    auto judged = wish.stages().empty() ? make_whole(*weights, engine_settings, need, wish)
                                        : make_in_parts(*weights, engine_settings, *own, wish);
    if (!judged) return judged.failure();
    made_engine made;
    made.engine = std::move(judged->engine);
    made.facts.canary_ids = std::move(judged->canary);
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

  using weights_ptr = gpu_engines::weights_ptr;
  using judged_engine = gpu_engines::judged_engine;
  bool may_use_gpu() const { return settings_.engine != engine_choice::cpu; }

  // On a GPU where one is asked for and takes it, else on the processor.
  result<judged_engine> make_whole(const weights_ptr& weights, kernels::engine_settings settings,
                                   const kernels::memory_need& need,
                                   const proto::LoadEngine& wish) {
    if (may_use_gpu()) {
      auto made = gpu_.whole(weights, settings, need);
      if (!made && made.failure().code == error_code::resource_exhausted) {
        if (wish.refuse_full_gpu()) return made;
        if (settings_.gpu_partial && settings_.cuda.devices.size() < 2)
          made = gpu_.partly(weights, settings, need);
      }
      if (made) return made;
      refuse(made.failure());
    }
    if (const auto more = fit_processor(settings, need)) return *more;
    auto engine = kernels::make_cpu_engine(weights, settings);
    if (!engine) return engine.failure();
    return with_canary(std::move(*engine), *weights);
  }

  result<judged_engine> with_canary(std::unique_ptr<kernels::engine> engine,
                                    const kernels::model& weights) const {
    auto canary = run_canary(*engine, *weights.words, settings_.canary_tokens);
    if (!canary) return canary.failure();
    return judged_engine{std::move(engine), std::move(*canary)};
  }

  // Own layers on a GPU if one takes them and the whole then answers as the processor does.
  result<judged_engine> make_in_parts(const weights_ptr& weights, kernels::engine_settings settings,
                                      kernels::layer_range own, const proto::LoadEngine& wish) {
    settings.layers = own;
    if (may_use_gpu()) {
      auto first = gpu_.part(weights, settings);
      if (!first) {
        refuse(first.failure());
      } else {
        auto made = make_behind(std::move(*first), weights, settings, wish);
        if (!made) return made;
        const status right = gpu_.judge(weights, settings, 0, made->canary);
        if (right) return made;
        refuse(right.failure());
      }
    }
    const kernels::memory_need need = kernels::cpu_memory_need(*weights, settings.kv, own);
    if (const auto more = fit_processor(settings, need)) return *more;
    auto first = kernels::make_cpu_stage(weights, settings);
    if (!first) return first.failure();
    return make_behind(std::move(*first), weights, settings, wish);
  }

  // The other nodes open theirs one after the other.
  result<judged_engine> make_behind(std::unique_ptr<kernels::stage> first,
                                    const weights_ptr& weights,
                                    const kernels::engine_settings& settings,
                                    const proto::LoadEngine& wish) {
    remote_stage_wish next;
    next.digest = wish.model_digest();
    next.kv_blocks = first->description().kv_blocks;
    next.kv = settings.kv;
    next.batch_tokens_max = settings.batch_tokens_max;
    next.vocabulary = weights->shape.vocabulary;
    next.embedding = weights->shape.embedding;
    next.open_wait = settings_.stage_open_wait;
    next.step_wait = settings_.stage_step_wait;
    next.layers.end = first->layers().end;
    std::vector<std::unique_ptr<kernels::stage>> stages;
    stages.push_back(std::move(first));
    for (const proto::StagePart& part : wish.stages()) {
      next.node = part.node();
      next.layers = {next.layers.end, next.layers.end + part.layers()};
      next.last = next.layers.end == weights->shape.layers;
      auto opened = remote_(next);
      if (!opened) return opened.failure();
      stages.push_back(std::move(*opened));
    }
    auto engine = kernels::make_split_engine(weights, settings.batch_tokens_max, std::move(stages));
    if (!engine) return engine.failure();
    return with_canary(std::move(*engine), *weights);
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
  void refuse(const error& why) {
    refused_ = why;
    if (settings_.engine == engine_choice::cuda || why.code != error_code::unsupported)
      spdlog::warn("gpu_refused reason=\"{}\": the processor computes", why.text());
    else
      spdlog::info("gpu_not_used reason=\"{}\"", why.text());
  }

  inference_settings settings_;
  gpu_engines gpu_;
  stage_opener remote_;
  std::optional<error> refused_;  // why the last model was not made on a GPU
};

}  // namespace

std::shared_ptr<engine_source> make_engine_source(const inference_settings& settings, gpu_doors gpu,
                                                  stage_opener remote) {
  return std::make_shared<configured_engine_source>(settings, std::move(gpu), std::move(remote));
}

}  // namespace troupe
