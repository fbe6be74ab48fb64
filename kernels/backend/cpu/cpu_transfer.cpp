#include "kernels/backend/cpu/cpu_transfer.hpp"

#include <new>

namespace troupe::kernels {

result<std::uint32_t> cpu_transfer::open(std::uint64_t bytes) {
  const auto places = places_in(bytes, block_bytes(), places_);
  if (!places) return places;
  // Untouched, so that the system gives pages as blocks fill them.
  memory_.reset(new (std::nothrow) std::uint8_t[*places * block_bytes()]);
  if (memory_ == nullptr)
    return error{error_code::resource_exhausted,
                 "no memory for KV blocks of " + std::to_string(bytes) + " bytes on the host",
                 "lower inference.kv_host_bytes"};
  places_ = *places;
  return places_;
}

result<kv_ticket> cpu_transfer::take_out(block_id block, host_place to) {
  if (status s = check_copy(block, store_.blocks(), to, places_); !s) return s.failure();
  store_.copy_out(block, bytes(to).data());
  return ++last_;
}

result<kv_ticket> cpu_transfer::bring_in(block_id block, host_place from) {
  if (status s = check_copy(block, store_.blocks(), from, places_); !s) return s.failure();
  store_.copy_in(block, bytes(from).data());
  return ++last_;
}

}  // namespace troupe::kernels
