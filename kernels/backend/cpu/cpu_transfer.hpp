// KV blocks of a processor's engine to host memory and back: each copy is done when it is asked
// for.
#pragma once

#include <memory>

#include "kernels/backend/cpu/kv_store.hpp"
#include "kernels/kv/kv_transfer.hpp"

namespace troupe::kernels {

class cpu_transfer final : public kv_transfer {
 public:
  explicit cpu_transfer(kv_store& store) : store_(store) {}

  std::uint64_t block_bytes() const override { return store_.block_bytes(); }
  result<std::uint32_t> open(std::uint64_t bytes) override;
  result<std::uint32_t> room() override { return running_max; }
  status wait_for_room() override { return {}; }
  result<kv_ticket> take_out(block_id block, host_place to) override;
  result<kv_ticket> bring_in(block_id block, host_place from) override;
  result<bool> passed(kv_ticket) override { return true; }
  status wait(kv_ticket) override { return {}; }
  std::span<std::uint8_t> bytes(host_place place) override {
    return {memory_.get() + place * block_bytes(), block_bytes()};
  }

 private:
  kv_store& store_;
  std::unique_ptr<std::uint8_t[]> memory_;
  std::uint32_t places_ = 0;
  kv_ticket last_ = 0;
};

}  // namespace troupe::kernels
