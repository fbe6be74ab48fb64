// The engine on one GPU. Its order of arithmetic is the CPU's (cpu-1, cpu-1-kvq8) word for word;
// its numerics class has its own name until a device has shown the same bits.
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
#include "kernels/backend/cuda/cuda_kv_cuda.hpp"
#include "kernels/backend/cuda/cuda_transfer_cuda.hpp"
#include "kernels/backend/cuda/cuda_weights_cuda.hpp"
#include "kernels/backend/cuda/device_watch.hpp"
#include "kernels/backend/cuda/kv_copies_cuda.hpp"
#include "kernels/backend/cuda/launches.hpp"
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
    std::uint32_t batch_tokens_max = 0;
    std::uint32_t graphs_max = 0;
    std::unique_ptr<device_watch> watch;
    layer_range layers;  // its end is named
  };
  explicit cuda_engine(parts from);
  ~cuda_engine() override;

  const engine_description& description() const override { return description_; }
  result<step_logits> step(std::span<const sequence_step> batch) override;
  engine_counters counters() const override { return counters_; }
  kv_transfer* transfer() override { return &transfer_; }

  // As a stage (kernels/stage.hpp): begin() leaves the device at work, finish() waits for it.
  layer_range layers() const { return parts_.layers; }
  status begin(std::span<const sequence_step> batch, std::span<const float> stream);
  result<stage_output> finish();
  kv_copies& copies() { return *parts_.copies; }

 private:
  // Prepared rows of x in the form that matrices of one kind read.
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
  status reserve_prepared(prepared& to, std::uint32_t block, std::uint64_t values);
  bool is_first() const { return parts_.layers.first == 0; }
  bool is_last() const { return parts_.layers.end == shape_.layers; }
  status upload(std::span<const float> stream);
  status start(std::span<const float> stream);
  status run();
  const recorded_graph* record(step_graphs<recorded_graph>::entry& of);
  void compute();
  void compute_layers();
  void compute_attention(const cuda_layer& layer, const device_kv& store, bool last);
  std::uint64_t partial_bytes(const tile_group& group) const;
  void attend(const device_kv& store, const std::vector<tile_group>& groups);
  void keep_output_rows();
  void compute_feed_forward(const cuda_layer& layer, std::uint32_t rows);
  void compute_outputs();
  status copy_outputs();
  stage_output read_outputs();

  void prepare_for(std::initializer_list<const device_matrix*> readers, const row_making& what,
                   std::uint32_t rows);
  void multiply(const device_matrix& w, std::uint32_t rows, float* out, std::uint64_t stride,
                bool add = false);
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
  engine_description description_;
  rope_angles angles_;
  step_plan plan_;
  step_upload layout_;
  std::uint64_t query_width_, kv_width_, qkv_width_, prepared_width_;
  std::vector<float> cosines_, sines_;            // of every position seen so far
  std::vector<float> step_cosines_, step_sines_;  // of the step's rows
  bool reads_[3] = {};                            // whether a matrix reads that kind of x
  runtime_code code_ = 0;                         // the first launch that was refused
  std::optional<watched_step> watched_;           // from begin() to finish()

  pinned_bytes staging_, answers_;
  device_buffer step_memory_, stream_, kept_, scales_, qkv_, attended_, kept_attended_;
  device_buffer gate_, up_, logits_, hidden_, partial_;
  device_buffer best_keys_, best_, best_sums_;
  std::vector<best_logits> found_;  // of the last step
  std::uint64_t held_ = 0;          // bytes of the buffers above

  step_graphs<recorded_graph> graphs_;  // of launches that name these buffers
  engine_counters counters_;
  prepared prepared_[3];  // floats, by 32, by 256
};

}  // namespace troupe::kernels::cuda
