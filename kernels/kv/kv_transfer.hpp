// Copies of an engine's KV blocks to host memory and back.
//
// Host memory is places of one block each, all taken at once by open(). Copies are done in the
// order in which they were asked for, each after all steps that were computed before; a later step
// waits, on the device, for those copies that it meets: that bring a block it reads or writes, or
// take out a block it writes. So who asks need wait for nothing: once a copy was asked for, its
// block may be written and its place filled or read by what is asked for next.
//
// Bytes: a full block of all layers, layer after layer, each as attention.hpp has a block, on
// processors and GPUs alike. Equal tokens before a block's end give equal bytes in engines of one
// model, KV type and order of arithmetic.
// Threading: the engine's thread. The engine owns this and the memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "config/outcome.hpp"
#include "kernels/engine.hpp"

namespace troupe::kernels {

using kv_ticket = std::uint64_t;  // of a copy; rising
using host_place = std::uint32_t;

class kv_transfer {
 public:
  static constexpr std::uint32_t running_max = 64;  // copies under way

  virtual ~kv_transfer() = default;
  virtual std::uint64_t block_bytes() const = 0;
  // Takes memory for as many blocks as `bytes` holds, once. Errors: invalid_argument (again, or
  // less than a block); resource_exhausted.
  virtual result<std::uint32_t> open(std::uint64_t bytes) = 0;

  // Copies that may begin now; running_max where none is under way.
  virtual result<std::uint32_t> room() = 0;
  // Until at least one may.
  virtual status wait_for_room() = 0;
  // Errors: invalid_argument; resource_exhausted, where there is no room.
  virtual result<kv_ticket> take_out(block_id block, host_place to) = 0;
  virtual result<kv_ticket> bring_in(block_id block, host_place from) = 0;

  // For those who look at the bytes themselves.
  virtual result<bool> passed(kv_ticket copy) = 0;
  virtual status wait(kv_ticket copy) = 0;
  virtual std::span<std::uint8_t> bytes(host_place place) = 0;
};

// Whether a copy may be; the error names what is outside. places: of open().
inline status check_copy(block_id block, std::uint32_t blocks, host_place place,
                         std::uint32_t places) {
  if (block < blocks && place < places) return {};
  return error{error_code::invalid_argument,
               "a copy of block " + std::to_string(block) + " of " + std::to_string(blocks) +
                   " and host place " + std::to_string(place) + " of " + std::to_string(places),
               {}};
}

// Places that `bytes` gives. Errors: as open().
inline result<std::uint32_t> places_in(std::uint64_t bytes, std::uint64_t block_bytes,
                                       std::uint32_t opened) {
  if (opened > 0)
    return error{
        error_code::invalid_argument, "the host memory of KV blocks was taken already", {}};
  if (bytes < block_bytes)
    return error{error_code::invalid_argument,
                 std::to_string(bytes) + " bytes of host memory hold no KV block of " +
                     std::to_string(block_bytes) + " bytes",
                 "raise inference.kv_host_bytes, or set it to 0"};
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(bytes / block_bytes, std::uint32_t{1} << 31));
}

}  // namespace troupe::kernels
