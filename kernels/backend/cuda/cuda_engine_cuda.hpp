// The engine on one GPU. Its order of arithmetic is the CPU's (cpu-1, cpu-1-kvq8) word for word,
// but for matrix products where parts::numerics is `tensor`; its numerics class has its own name
// until a device has shown the same bits.
//
// A step is one copy to the device, a chain of kernels on one stream, and one copy back. Decode
// steps of a shape that was seen before start as one recorded graph (step_graphs.hpp). Which kernel
// computes a product or a span may depend on the batch, its bits may not. Threading: one thread at
// a time calls step().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/backend/cpu/step_plan.hpp"
#include "kernels/backend/cuda/bodies/launches.hpp"
#include "kernels/backend/cuda/cuda_kv_cuda.hpp"
#include "kernels/backend/cuda/cuda_transfer_cuda.hpp"
#include "kernels/backend/cuda/cuda_weights_cuda.hpp"
#include "kernels/backend/cuda/devices/device_watch.hpp"
#include "kernels/backend/cuda/devices/gpu_group_cuda.hpp"
#include "kernels/backend/cuda/kv_copies_cuda.hpp"
#include "kernels/backend/cuda/step_upload.hpp"
#include "kernels/ops/rope.hpp"
#include "kernels/stage.hpp"

namespace troupe::kernels::cuda {

class cuda_engine final : public engine {
 public:
  struct parts {
    std::shared_ptr<device> on;
    std::shared_ptr<const model> source;
    std::string name;  // whose memory it is
    std::unique_ptr<stream> work;
    std::unique_ptr<cuda_weights> weights;
    std::unique_ptr<cuda_kv> kv;
    std::unique_ptr<kv_copies> copies;  // of its blocks
    kv_type type = kv_type::f16;
    gpu_numerics numerics = gpu_numerics::exact;
    std::uint32_t batch_tokens_max = 0;
    std::uint32_t graphs_max = 0;
    std::unique_ptr<device_watch> watch;
    layer_range layers;  // its end is named
    // Of every matrix; `group` gathers what the others computed, null where this is all of it.
    shard part = {};
    std::unique_ptr<gpu_group_member> group = nullptr;
  };
  explicit cuda_engine(parts from);
  // What the largest usual step takes beside weights and KV, about: 64 of its rows with logits.
  static std::uint64_t step_bytes(const hyperparameters& shape, const shard& part,
                                  layer_range layers, std::uint32_t rows);
  ~cuda_engine() override;

  const engine_description& description() const override { return description_; }
  result<step_logits> step(std::span<const sequence_step> batch) override;
  engine_counters counters() const override { return counters_; }
  kv_transfer* transfer() override { return &transfer_; }

  // As a stage (kernels/stage.hpp): begin() leaves the device at work, finish() waits for it.
  layer_range layers() const { return parts_.layers; }
  status begin(std::span<const sequence_step> batch, std::span<const float> stream);
  result<stage_output> finish();
  // begin() in its two halves, for engines that must start a step together: after prepare() nothing
  // can be refused any more but by the device. abandon() ends a step that is not launched.
  status prepare(std::span<const sequence_step> batch, std::span<const float> stream);
  status launch();
  status abandon();
  kv_copies& copies() { return *parts_.copies; }

 private:
  // What matrices of one kind read: rows of x in that form.
  enum row_form : std::uint8_t { floats, by_32_codes, by_256_codes, halves, bfloats };
  static constexpr std::uint32_t row_forms = 5;
  struct prepared {
    device_buffer values, q, d, sums;
  };
  // What the rows are made of, beside their length and number.
  struct row_making {
    row_source source = row_source::plain;
    const float* x = nullptr;
    std::uint64_t n = 0;
    const float* weight = nullptr;
    const float* up = nullptr;
  };

  status reserve(std::uint32_t rows);
  row_form form_of(tensor_type type) const;
  status reserve_prepared(row_form form, std::uint32_t rows);
  bool is_first() const { return parts_.layers.first == 0; }
  bool is_last() const { return parts_.layers.end == shape_.layers; }
  status upload(std::span<const float> stream);
  status run();
  const recorded_graph* record(step_graphs<recorded_graph>::entry& of);
  void compute();
  void compute_layers();
  void compute_attention(const cuda_layer& layer, const device_kv& store, bool last);
  std::uint64_t partial_bytes(const tile_group& group) const;
  void attend(const device_kv& store, const std::vector<tile_group>& groups);
  void keep_output_rows();
  void compute_feed_forward(const cuda_layer& layer, std::uint32_t rows);
  const float* gated_of_all(std::uint32_t rows);
  void compute_outputs();
  status copy_outputs();
  stage_output read_outputs();

  void prepare_rows(row_form form, const row_making& what, std::uint32_t rows);
  void prepare_for(std::initializer_list<const device_matrix*> readers, const row_making& what,
                   std::uint32_t rows);
  void multiply(const device_matrix& w, std::uint32_t rows, float* out, std::uint64_t stride,
                bool add = false);
  // The same of all GPUs' parts of w.
  void multiply_shards(const device_matrix& w, std::uint32_t rows, float* out, std::uint64_t stride,
                       bool add = false);
  void join(const device_buffer& part, std::uint32_t rows, std::uint64_t width, float* to,
            bool add = false);
  status reserve_shards(std::uint64_t rows, std::uint64_t& held);
  // Of a shard's answers, the first one's are copied to the host.
  bool answers() const { return parts_.part.rank == 0; }
  void note(runtime_code code) {
    if (code_ == 0) code_ = code;
  }
  void extend_angles(std::uint32_t positions);
  std::uint64_t whole_rows() const { return plan_.logits_of().size() - layout_.best_rows; }
  std::uint64_t sums_of_row() const {
    return (shape_.vocabulary + exponential_sum_block - 1) / exponential_sum_block;
  }
  template <class T>
  const T* uploaded(std::uint64_t at) const {
    return reinterpret_cast<const T*>(step_memory_.as<std::uint8_t>() + at);
  }

  parts parts_;
  cuda_transfer transfer_;
  const hyperparameters& shape_;
  hyperparameters here_;  // this shard's heads and hidden values
  engine_description description_;
  rope_angles angles_;
  step_plan plan_;
  step_upload layout_;
  std::uint64_t query_width_, kv_width_, qkv_width_;  // of this shard's heads
  std::uint64_t attended_width_, prepared_width_;     // of all
  std::vector<float> cosines_, sines_;                // of every position seen so far
  std::vector<float> step_cosines_, step_sines_;      // of the step's rows
  bool reads_[row_forms] = {};                        // whether a matrix reads x so
  runtime_code code_ = 0;                             // the first launch that was refused
  std::optional<watched_step> watched_;               // from begin() to finish()

  pinned_bytes staging_, answers_;
  device_buffer step_memory_, stream_, kept_, scales_, qkv_, attended_, kept_attended_;
  device_buffer gate_, up_, logits_, hidden_, partial_;
  device_buffer best_keys_, best_, best_sums_;
  device_buffer part_, gathered_, joined_;  // of shards
  std::vector<best_logits> found_;          // of the last step
  std::uint64_t held_ = 0;                  // bytes of the buffers above

  step_graphs<recorded_graph> graphs_;  // of launches that name these buffers
  engine_counters counters_;
  prepared prepared_[row_forms];
};

}  // namespace troupe::kernels::cuda
