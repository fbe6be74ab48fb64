// Copies of KV blocks between the device and pinned memory, on a stream of their own beside the
// steps.
//
// A copy waits for all that was launched on the engine's stream before it: it takes out what the
// last step left, and brings in where nobody reads what was there. A later step waits for the
// copies that it meets, and for no others: those that bring a block it reads or writes, and those
// that take out a block it writes. Threading: the engine's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/backend/cpu/step_plan.hpp"
#include "kernels/backend/cuda/cuda_kv_cuda.hpp"

namespace troupe::kernels::cuda {

using kv_copy = std::uint64_t;  // rising

class kv_copies {
 public:
  static constexpr std::size_t running_max = 64;
  static_assert(running_max < 256);  // a mark is a byte

  // `work` is the engine's stream. Both must outlive this.
  static result<std::unique_ptr<kv_copies>> make(cuda_kv& store, const stream& work);
  ~kv_copies();

  // One block of all layers, store.block_bytes() of pinned memory at `host`, which nobody touches
  // until the copy has passed. Errors: invalid_argument; resource_exhausted, where running_max run.
  result<kv_copy> take_out(block_id block, std::uint8_t* host);
  result<kv_copy> bring_in(block_id block, const std::uint8_t* host);

  result<bool> passed(kv_copy copy);
  status wait(kv_copy copy);
  // How many have not passed.
  result<std::size_t> running();
  // For the one that passes first, where any is under way.
  status wait_for_first();
  status wait_for_all();
  // Before a step is launched.
  status hold_back(const step_plan& plan);

 private:
  struct running_copy {
    kv_copy id = 0;
    block_id block = 0;
    bool brings = false;
    std::unique_ptr<event> done;
  };
  kv_copies(cuda_kv& store, const stream& work) : store_(store), work_(work) {}
  template <class Copy>
  result<kv_copy> start(block_id block, bool brings, Copy copy);
  status forget_passed();

  cuda_kv& store_;
  const stream& work_;
  std::unique_ptr<stream> copies_;
  std::unique_ptr<event> computed_;
  std::vector<running_copy> running_;  // in order, as they pass
  std::vector<std::unique_ptr<event>> spare_;
  kv_copy last_ = 0;
  // Of each block, while a step is looked at: for which of running_ (from 1 on) it waits.
  std::vector<std::uint8_t> writers_wait_, readers_wait_;
};

}  // namespace troupe::kernels::cuda
