#include "kernels/backend/cuda/cuda_transfer_cuda.hpp"

namespace troupe::kernels::cuda {

static_assert(kv_copies::running_max == kv_transfer::running_max);

// Nothing may still copy to or from the memory that goes.
cuda_transfer::~cuda_transfer() {
  (void)on_.bind();
  (void)copies_.wait_for_all();
}

result<std::uint32_t> cuda_transfer::open(std::uint64_t bytes) {
  const auto places = places_in(bytes, block_bytes(), places_);
  if (!places) return places;
  if (status s = on_.bind(); !s) return s.failure();
  if (status s = memory_.reserve(*places * block_bytes()); !s) return s.failure();
  places_ = *places;
  return places_;
}

result<std::uint32_t> cuda_transfer::room() {
  if (status s = on_.bind(); !s) return s.failure();
  const auto running = copies_.running();
  if (!running) return running.failure();
  return static_cast<std::uint32_t>(running_max - *running);
}

status cuda_transfer::wait_for_room() {
  if (status s = on_.bind(); !s) return s;
  return copies_.wait_for_first();
}

status cuda_transfer::prepare(block_id block, host_place place) {
  if (status s = check_copy(block, store_.blocks(), place, places_); !s) return s;
  return on_.bind();
}

result<kv_ticket> cuda_transfer::take_out(block_id block, host_place to) {
  if (status s = prepare(block, to); !s) return s.failure();
  return copies_.take_out(block, bytes(to).data());
}

result<kv_ticket> cuda_transfer::bring_in(block_id block, host_place from) {
  if (status s = prepare(block, from); !s) return s.failure();
  return copies_.bring_in(block, bytes(from).data());
}

result<bool> cuda_transfer::passed(kv_ticket copy) {
  if (status s = on_.bind(); !s) return s.failure();
  return copies_.passed(copy);
}

status cuda_transfer::wait(kv_ticket copy) {
  if (status s = on_.bind(); !s) return s;
  return copies_.wait(copy);
}

}  // namespace troupe::kernels::cuda
