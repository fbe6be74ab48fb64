// Chooses, checks and loads what a CPU engine needs.
#include <new>
#include <string>
#include <thread>

#include "kernels/backend/cpu/cpu_engine.hpp"
#include "kernels/backend/layers.hpp"

namespace troupe::kernels {
namespace {

std::string known_variants() {
  std::string names;
  for (const std::string_view name : matmul_variants())
    names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

class cpu_stage final : public stage {
 public:
  explicit cpu_stage(std::unique_ptr<cpu_engine> layers) : engine_(std::move(layers)) {}
  const engine_description& description() const override { return engine_->description(); }
  layer_range layers() const override { return engine_->layers(); }
  status begin(std::span<const sequence_step> batch, std::span<const float> stream) override {
    batch_ = batch;
    stream_ = stream;
    return {};
  }
  result<stage_output> finish() override { return engine_->pass(batch_, stream_); }

 private:
  std::unique_ptr<cpu_engine> engine_;
  std::span<const sequence_step> batch_;
  std::span<const float> stream_;
};

result<std::unique_ptr<cpu_engine>> make(std::shared_ptr<const model> weights,
                                         const engine_settings& settings) try {
  cpu_engine::parts parts;
  parts.source = std::move(weights);
  if (parts.source == nullptr)
    return error{error_code::invalid_argument, "an engine was asked for without a model",
                 "open a model first"};
  parts.matmul = find_matmul_backend(settings.variant);
  parts.ops = parts.matmul == nullptr ? nullptr : find_row_ops(parts.matmul->name);
  if (parts.ops == nullptr)
    return error{error_code::invalid_argument,
                 "this machine has no kernels called '" + settings.variant + "'",
                 "leave the variant empty or choose one of " + known_variants()};
  if (settings.batch_tokens_max == 0)
    return error{error_code::invalid_argument, "batch_tokens_max is 0",
                 "allow at least one token in a step"};
  const auto layers = checked_layers(settings.layers, parts.source->shape);
  if (!layers) return layers.failure();
  parts.layers = *layers;
  parts.kv = settings.kv;
  parts.batch_tokens_max = settings.batch_tokens_max;

  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  auto pool =
      thread_pool::make(settings.threads == 0 ? cores : settings.threads, settings.affinity);
  if (!pool) return pool.failure();
  parts.pool = std::move(*pool);
  auto store =
      kv_store::make(part_of(parts.source->shape, *layers), settings.kv, settings.kv_bytes);
  if (!store) return store.failure();
  parts.store = std::move(*store);
  parts.weights = cpu_weights::load(*parts.source, *layers, *parts.matmul, *parts.pool);
  return std::make_unique<cpu_engine>(std::move(parts));
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory for the weights of this model",
               "use a smaller model or a smaller type of weights"};
}

}  // namespace

result<std::unique_ptr<engine>> make_cpu_engine(std::shared_ptr<const model> weights,
                                                const engine_settings& settings) {
  engine_settings whole = settings;
  whole.layers = {};
  auto made = make(std::move(weights), whole);
  if (!made) return made.failure();
  return std::unique_ptr<engine>(std::move(*made));
}

result<std::unique_ptr<stage>> make_cpu_stage(std::shared_ptr<const model> weights,
                                              const engine_settings& settings) {
  auto made = make(std::move(weights), settings);
  if (!made) return made.failure();
  return std::unique_ptr<stage>(std::make_unique<cpu_stage>(std::move(*made)));
}

memory_need cpu_memory_need(const model& weights, kv_type kv, layer_range wish) {
  const auto checked = checked_layers(wish, weights.shape);
  const layer_range layers = checked ? *checked : layer_range{0, weights.shape.layers};
  memory_need need;
  const auto add = [&need](const tensor_view* tensor) {
    need.weight_bytes += tensor->bytes.size();
  };
  for (std::uint32_t i = layers.first; i < layers.end; ++i) {
    const layer_tensors& layer = weights.layers[i];
    for (const tensor_view* tensor :
         {layer.attention_norm, layer.query, layer.key, layer.value, layer.attention_output,
          layer.feed_forward_norm, layer.gate, layer.up, layer.down})
      add(tensor);
  }
  if (layers.end == weights.shape.layers) {
    add(weights.output_norm);
    add(weights.output);
  }
  need.kv_block_bytes = kv_block_bytes(part_of(weights.shape, layers), kv);
  return need;
}

}  // namespace troupe::kernels
