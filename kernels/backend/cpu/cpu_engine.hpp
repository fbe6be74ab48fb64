// The engine on processors, numerics classes cpu-1 and cpu-1-kvq8 (keys and values in q8_0): Llama
// layers as phases of work on a thread pool.
//
// A step computes all rows of all sequences together: one pass over each weight. Every phase is cut
// into items whose bits do not depend on the cut (rows, ranges of output values, tiles of query
// rows), so the thread count and who takes which item change nothing. In the last layer only the
// rows that are asked for go on after the keys and values. Threading: one thread at a time
// calls step(); its work is shared with the pool.
#pragma once

#include <memory>
#include <vector>

#include "kernels/backend/cpu/cpu_transfer.hpp"
#include "kernels/backend/cpu/cpu_weights.hpp"
#include "kernels/backend/cpu/kv_store.hpp"
#include "kernels/backend/cpu/step_plan.hpp"
#include "kernels/engine.hpp"
#include "kernels/model/model.hpp"
#include "kernels/ops/rope.hpp"
#include "kernels/ops/row_ops.hpp"
#include "kernels/stage.hpp"

namespace troupe::kernels {

class cpu_engine final : public engine {
 public:
  // What make_cpu_engine has chosen and loaded.
  struct parts {
    std::shared_ptr<const model> source;
    const matmul_backend* matmul = nullptr;
    const row_ops* ops = nullptr;
    kv_type kv = kv_type::f16;
    std::unique_ptr<thread_pool> pool;
    std::unique_ptr<kv_store> store;
    cpu_weights weights;
    std::uint32_t batch_tokens_max = 0;
    layer_range layers;  // its end is named
  };
  explicit cpu_engine(parts from);

  const engine_description& description() const override { return description_; }
  result<step_logits> step(std::span<const sequence_step> batch) override;
  engine_counters counters() const override { return counters_; }
  kv_transfer* transfer() override { return &transfer_; }

  // As a stage (kernels/stage.hpp).
  layer_range layers() const { return parts_.layers; }
  result<stage_output> pass(std::span<const sequence_step> batch, std::span<const float> stream);

 private:
  // One matrix product of a phase. Products of one phase share no output.
  struct product {
    const cpu_matrix* matrix;
    const activations* input;
    float* out;
    std::uint64_t stride;
  };

  void reserve(std::uint32_t rows);
  void begin_rows(std::span<const float> stream);
  void compute_layer(std::uint32_t index, bool last);  // index: from the first layer here
  void compute_attention(const cpu_layer& layer, const kv_layer& store, bool last);
  void compute_feed_forward(const cpu_layer& layer, std::uint32_t rows);
  void store_keys_values(const kv_layer& store);
  void keep_output_rows();
  void keep_hidden_rows();
  void compute_logits(std::uint32_t rows);
  std::uint32_t pick_best();

  activations& input_of(tensor_type type, bool feed_forward = false);
  // normed = rms_norm(stream) of `rows` rows, prepared for every kind among `types`.
  void norm_and_prepare(const std::vector<float>& weight, std::uint32_t rows,
                        std::span<const tensor_type> types);
  void prepare(const float* x, std::uint64_t k, std::uint32_t rows, tensor_type type,
               activations& out);
  void add_residual(std::uint32_t rows);
  void multiply(std::span<const product> products, std::uint32_t rows);
  // Calls work(row_begin, row_end) for ranges that cover all rows.
  template <class Work>
  void for_row_ranges(std::uint32_t rows, std::uint64_t values_per_row, Work work);
  std::uint64_t chunk_of(std::uint64_t n, std::uint64_t k, std::uint32_t rows) const;

  parts parts_;
  cpu_transfer transfer_;
  const attention_ops& attention_;
  const hyperparameters& shape_;
  engine_description description_;
  engine_counters counters_;
  rope_angles angles_;
  step_plan plan_;
  std::uint64_t query_width_, kv_width_, qkv_width_;

  // Rows of one step; they grow to the largest step seen.
  std::vector<float> stream_, normed_, qkv_, attended_, projected_, gate_, up_, logits_, hidden_;
  std::vector<float> cosines_, sines_;
  std::vector<best_logits> best_;
  std::vector<float> scratch_;  // attention_scratch() floats for each thread
  activations
      inputs_[3];  // by activation_kind: x of the matrices that read the stream or attention
  activations hidden_input_;  // x of `down`
};

}  // namespace troupe::kernels
