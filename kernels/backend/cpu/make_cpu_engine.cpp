// Chooses, checks and loads what a CPU engine needs.
#include <new>
#include <string>
#include <thread>

#include "kernels/backend/cpu/cpu_engine.hpp"

namespace troupe::kernels {
namespace {

std::string known_variants() {
  std::string names;
  for (const std::string_view name : matmul_variants())
    names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace

result<std::unique_ptr<engine>> make_cpu_engine(std::shared_ptr<const model> weights,
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
  parts.kv = settings.kv;
  parts.batch_tokens_max = settings.batch_tokens_max;

  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  auto pool =
      thread_pool::make(settings.threads == 0 ? cores : settings.threads, settings.affinity);
  if (!pool) return pool.failure();
  parts.pool = std::move(*pool);
  auto store = kv_store::make(parts.source->shape, settings.kv, settings.kv_bytes);
  if (!store) return store.failure();
  parts.store = std::move(*store);
  parts.weights = cpu_weights::load(*parts.source, *parts.matmul, *parts.pool);
  return std::unique_ptr<engine>(std::make_unique<cpu_engine>(std::move(parts)));
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory for the weights of this model",
               "use a smaller model or a smaller type of weights"};
}

memory_need cpu_memory_need(const model& weights, kv_type kv) {
  memory_need need;
  const auto add = [&need](const tensor_view* tensor) {
    need.weight_bytes += tensor->bytes.size();
  };
  for (const layer_tensors& layer : weights.layers)
    for (const tensor_view* tensor :
         {layer.attention_norm, layer.query, layer.key, layer.value, layer.attention_output,
          layer.feed_forward_norm, layer.gate, layer.up, layer.down})
      add(tensor);
  add(weights.output_norm);
  add(weights.output);
  need.kv_block_bytes = kv_block_bytes(weights.shape, kv);
  return need;
}

}  // namespace troupe::kernels
