#include "kernels/backend/cuda/sharded_engine_cuda.hpp"

#include <algorithm>
#include <utility>

namespace troupe::kernels::cuda {

sharded_engine::sharded_engine(std::vector<std::unique_ptr<cuda_engine>> shards)
    : shards_(std::move(shards)),
      description_(shards_.front()->description()),
      together_(static_cast<std::ptrdiff_t>(shards_.size())),
      prepared_(shards_.size()),
      finished_(shards_.size()),
      answer_(stage_output{}) {
  for (std::size_t rank = 1; rank < shards_.size(); ++rank) {
    const engine_description& other = shards_[rank]->description();
    description_.weight_bytes += other.weight_bytes;
    description_.kv_bytes += other.kv_bytes;
    if (description_.numerics_class.find(other.numerics_class) == std::string::npos)
      description_.numerics_class += "+" + other.numerics_class;
    threads_.emplace_back([this, rank] { serve(rank); });
  }
}

sharded_engine::~sharded_engine() {
  ending_ = true;
  together_.arrive_and_wait();
  for (std::thread& thread : threads_) thread.join();
}

void sharded_engine::serve(std::size_t rank) {
  for (;;) {
    together_.arrive_and_wait();
    if (ending_) return;
    compute(rank);
  }
}

const status* sharded_engine::failure_of(const std::vector<status>& statuses) {
  const auto found =
      std::find_if(statuses.begin(), statuses.end(), [](const status& one) { return !one.ok(); });
  return found == statuses.end() ? nullptr : &*found;
}

// The shards meet before anything is launched, since one that was refused memory would leave the
// others waiting for its rows. One that is refused after that has left them so: the process ends.
void sharded_engine::compute(std::size_t rank) {
  cuda_engine& own = *shards_[rank];
  prepared_[rank] = own.prepare(batch_, {});
  together_.arrive_and_wait();
  if (failure_of(prepared_) != nullptr) {
    finished_[rank] = own.abandon();
  } else {
    const status launched = own.launch();
    if (!launched) end_process("computing a step over several GPUs", launched.failure().text());
    auto got = own.finish();
    finished_[rank] = got ? status{} : got.failure();
    if (rank == 0) answer_ = std::move(got);
  }
  together_.arrive_and_wait();
}

result<step_logits> sharded_engine::step(std::span<const sequence_step> batch) {
  batch_ = batch;
  together_.arrive_and_wait();
  compute(0);
  for (const std::vector<status>* statuses : {&prepared_, &finished_})
    if (const status* refused = failure_of(*statuses)) return refused->failure();
  return answer_->logits;
}

}  // namespace troupe::kernels::cuda
