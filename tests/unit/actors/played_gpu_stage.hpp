// First layers on a GPU as an engine source sees them: the processor's under another name, and on
// wish with a stream that is wrong.
#pragma once

#include <memory>
#include <vector>

#include "actors/inference/gpu_engines.hpp"

namespace troupe::fakes {

class played_gpu_stage final : public kernels::stage {
 public:
  played_gpu_stage(std::unique_ptr<kernels::stage> on, bool wrong)
      : on_(std::move(on)), wrong_(wrong), description_(on_->description()) {
    description_.backend = "cuda";
    description_.numerics_class = "cuda-sm00-1";
  }
  const kernels::engine_description& description() const override { return description_; }
  kernels::layer_range layers() const override { return on_->layers(); }
  status begin(std::span<const kernels::sequence_step> batch,
               std::span<const float> stream) override {
    return on_->begin(batch, stream);
  }
  result<kernels::stage_output> finish() override {
    auto out = on_->finish();
    if (!out || !wrong_) return out;
    turned_.assign(out->stream.begin(), out->stream.end());
    for (float& value : turned_) value = -value;
    out->stream = turned_;
    return out;
  }

 private:
  std::unique_ptr<kernels::stage> on_;
  bool wrong_;
  std::vector<float> turned_;
  kernels::engine_description description_;
};

// A GPU that has no room for a whole model, but, as it says itself, for `fit` layers, and in truth
// for `most`.
inline gpu_doors small_gpu(std::uint32_t fit, std::uint32_t most, bool wrong = false) {
  const error full{error_code::resource_exhausted, "the played GPU is full", {}};
  gpu_doors out;
  out.whole = [full](auto, const auto&, const auto&) {
    return result<std::unique_ptr<kernels::engine>>(full);
  };
  out.part = [=](std::shared_ptr<const kernels::model> weights,
                 const kernels::engine_settings& settings,
                 const kernels::cuda_settings&) -> result<std::unique_ptr<kernels::stage>> {
    if (settings.layers.end - settings.layers.first > most) return full;
    auto made = kernels::make_cpu_stage(std::move(weights), settings);
    if (!made) return made.failure();
    return std::unique_ptr<kernels::stage>(
        std::make_unique<played_gpu_stage>(std::move(*made), wrong));
  };
  out.layers_that_fit = [fit](const auto&, const auto&, const auto&) {
    return result<std::uint32_t>(fit);
  };
  return out;
}

}  // namespace troupe::fakes
