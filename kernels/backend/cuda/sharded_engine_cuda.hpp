// One engine of several GPUs, each with a part of every matrix (shard.hpp). A thread for each GPU
// but the first, whose is the caller's; all do the same step at the same time.
#pragma once

#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/backend/cuda/cuda_engine_cuda.hpp"

namespace troupe::kernels::cuda {

class sharded_engine final : public engine {
 public:
  // In the order of their ranks; at least one.
  explicit sharded_engine(std::vector<std::unique_ptr<cuda_engine>> shards);
  ~sharded_engine() override;

  const engine_description& description() const override { return description_; }
  result<step_logits> step(std::span<const sequence_step> batch) override;
  engine_counters counters() const override { return shards_.front()->counters(); }

 private:
  void serve(std::size_t rank);
  void compute(std::size_t rank);
  static const status* failure_of(const std::vector<status>& statuses);

  std::vector<std::unique_ptr<cuda_engine>> shards_;
  engine_description description_;
  std::barrier<> together_;
  std::span<const sequence_step> batch_;
  std::vector<status> prepared_, finished_;  // of each shard; read after the next meeting
  result<stage_output> answer_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace troupe::kernels::cuda
