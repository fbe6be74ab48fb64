// The engine that is made of stages (kernels/stage.hpp).
//
// A step is cut into pieces of rows, and piece m is in stage s at round m + s: in one round all
// stages compute, each on another piece. Only steps that cost arithmetic are cut
// (piece_tokens_min): where reading the weights is what takes time, each piece would read them
// again. Pieces change no bits, as a prompt may be cut anywhere.
#pragma once

#include <memory>
#include <vector>

#include "kernels/backend/cpu/step_plan.hpp"
#include "kernels/stage.hpp"

namespace troupe::kernels {

class split_engine final : public engine {
 public:
  static constexpr std::uint32_t piece_tokens_min = 32;

  // Stages that are checked to be the whole model.
  split_engine(const model& source, std::uint32_t batch_tokens_max,
               std::vector<std::unique_ptr<stage>> stages);

  const engine_description& description() const override { return description_; }
  result<step_logits> step(std::span<const sequence_step> batch) override;
  engine_counters counters() const override { return counters_; }
  std::optional<error> lost() const override;

 private:
  struct piece {
    std::vector<sequence_step> steps;
    std::uint32_t tokens = 0;
  };

  void cut(std::span<const sequence_step> batch);
  status run_round(std::size_t round);
  void collect(const step_logits& from);

  hyperparameters shape_;
  std::vector<std::unique_ptr<stage>> stages_;
  engine_description description_;
  engine_counters counters_;
  step_plan plan_;  // refuses a step before any stage computes
  std::vector<piece> pieces_;
  // Into each stage: what it reads in this round, and what the one before gives meanwhile.
  std::vector<std::vector<float>> streams_, coming_;
  std::vector<float> logits_, hidden_;
  std::vector<best_logits> best_;
};

}  // namespace troupe::kernels
