// KV blocks of a GPU's engine to pinned memory and back, as kv_transfer.hpp asks: kv_copies keep
// the order, since all of them run on one stream.
#pragma once

#include "kernels/backend/cuda/kv_copies_cuda.hpp"
#include "kernels/kv/kv_transfer.hpp"

namespace troupe::kernels::cuda {

class cuda_transfer final : public kv_transfer {
 public:
  // All of one engine, which outlives this.
  cuda_transfer(const device& on, const cuda_kv& store, kv_copies& copies)
      : on_(on), store_(store), copies_(copies) {}
  ~cuda_transfer() override;

  std::uint64_t block_bytes() const override { return store_.block_bytes(); }
  result<std::uint32_t> open(std::uint64_t bytes) override;
  result<std::uint32_t> room() override;
  status wait_for_room() override;
  result<kv_ticket> take_out(block_id block, host_place to) override;
  result<kv_ticket> bring_in(block_id block, host_place from) override;
  result<bool> passed(kv_ticket copy) override;
  status wait(kv_ticket copy) override;
  std::span<std::uint8_t> bytes(host_place place) override {
    return {memory_.data() + place * block_bytes(), block_bytes()};
  }

 private:
  status prepare(block_id block, host_place place);

  const device& on_;
  const cuda_kv& store_;
  kv_copies& copies_;
  pinned_bytes memory_;
  std::uint32_t places_ = 0;
};

}  // namespace troupe::kernels::cuda
