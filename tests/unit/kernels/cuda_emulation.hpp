// Runs kernel bodies (kernels/backend/cuda/bodies/body_math.hpp) on the host: block after block,
// and in each step thread after thread.
//
// A step's threads run in an order that the caller chooses, so that a missing barrier, or two
// threads that write one place, shows as another answer; shared memory begins as NaN, so that what
// nobody wrote shows too.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "kernels/backend/cuda/bodies/tile_bodies.hpp"
#include "kernels/sampler/philox.hpp"

namespace troupe::kernels::testing {

enum class thread_order { rising, falling, mixed };
inline constexpr thread_order thread_orders[] = {thread_order::rising, thread_order::falling,
                                                 thread_order::mixed};

inline std::vector<std::uint32_t> order_of(std::uint32_t threads, thread_order order) {
  std::vector<std::uint32_t> sequence(threads);
  std::iota(sequence.begin(), sequence.end(), 0u);
  if (order == thread_order::falling) std::reverse(sequence.begin(), sequence.end());
  if (order == thread_order::mixed)
    for (std::uint32_t i = threads - 1; i > 0; --i)
      std::swap(sequence[i],
                sequence[static_cast<std::uint32_t>(uniform_draw(7, i) * (i + 1)) % (i + 1)]);
  return sequence;
}

struct grid {
  std::uint32_t x = 1, y = 1;
};

template <class Body>
std::unique_ptr<typename Body::shared> fresh_shared() {
  auto made = std::make_unique<typename Body::shared>();
  std::memset(static_cast<void*>(made.get()), 0xff, sizeof *made);
  return made;
}

template <class Body>
void emulate(grid blocks, const typename Body::arguments& a,
             thread_order order = thread_order::rising) {
  const std::vector<std::uint32_t> threads = order_of(Body::threads, order);
  for (std::uint32_t y = 0; y < blocks.y; ++y)
    for (std::uint32_t x = 0; x < blocks.x; ++x) {
      auto shared = fresh_shared<Body>();
      std::vector<typename Body::registers> registers(Body::threads);
      const std::uint32_t steps = Body::steps(a, {.block_x = x, .block_y = y});
      for (std::uint32_t i = 0; i < steps; ++i)
        for (const std::uint32_t t : threads)
          Body::step(i, a, {.block_x = x, .block_y = y, .thread = t}, *shared, registers[t]);
    }
}

inline std::int8_t byte_of(std::uint32_t word, std::uint32_t i) {
  return static_cast<std::int8_t>(word >> (8 * i) & 255u);
}

// What a warp's m16n8k32 of int8 does with its 32 lanes' fragments, by the tables of the PTX ISA:
// element i of a lane's four words of A is row lane / 4 (+ 8 in words 1 and 3), column lane % 4 * 4
// + i % 4 (+ 16 in words 2 and 3); B alike with columns lane / 4; C is row lane / 4 (+ 8 for 2, 3),
// column lane % 4 * 2 + i % 2. `half`: only k below 16 (0) or from 16 (1); -1: both.
template <class Body>
void multiply_fragments(const typename Body::a_fragment (&a)[32],
                        const typename Body::b_fragment (&b)[32], int half,
                        std::int32_t (&c)[16][8]) {
  std::int8_t left[16][32], right[32][8];
  for (std::uint32_t lane = 0; lane < 32; ++lane)
    for (std::uint32_t word = 0; word < 4; ++word)
      for (std::uint32_t i = 0; i < 4; ++i) {
        left[lane / 4 + word % 2 * 8][lane % 4 * 4 + i + word / 2 * 16] =
            byte_of(a[lane].word[word], i);
        if (word < 2)
          right[lane % 4 * 4 + i + word * 16][lane / 4] = byte_of(b[lane].word[word], i);
      }
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      c[row][column] = 0;
      for (int k = half == 1 ? 16 : 0; k < (half == 0 ? 16 : 32); ++k)
        c[row][column] += left[row][k] * right[k][column];
    }
}

template <class Body>
void emulate_tensor_tile(grid blocks, const cuda::product_arguments& a, thread_order order) {
  const std::vector<std::uint32_t> threads = order_of(Body::threads, order);
  for (std::uint32_t y = 0; y < blocks.y; ++y)
    for (std::uint32_t x = 0; x < blocks.x; ++x) {
      auto shared = fresh_shared<Body>();
      std::vector<typename Body::registers> r(Body::threads);
      for (std::uint32_t chunk = 0; chunk < Body::chunks(a); ++chunk) {
        for (const std::uint32_t t : threads)
          Body::load(chunk, a, {.block_x = x, .block_y = y, .thread = t}, *shared);
        const std::uint32_t units = Body::units_of(a, chunk);
        for (std::uint32_t warp = 0; warp < Body::threads / 32; ++warp)
          for (std::uint32_t u = 0; u < units; ++u)
            for (std::uint32_t g = 0; g < Body::rows / 8; ++g) {
              typename Body::a_fragment left[32];
              typename Body::b_fragment right[32];
              for (std::uint32_t lane = 0; lane < 32; ++lane) {
                left[lane] = Body::a(*shared, warp * 32 + lane, u);
                right[lane] = Body::b(*shared, warp * 32 + lane, u, g);
              }
              std::int32_t first[16][8], second[16][8];
              multiply_fragments<Body>(left, right, Body::halves ? 0 : -1, first);
              multiply_fragments<Body>(left, right, 1, second);
              for (std::uint32_t lane = 0; lane < 32; ++lane) {
                typename Body::c_fragment c;
                for (std::uint32_t i = 0; i < 4; ++i) {
                  c.first[i] = first[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
                  c.second[i] = second[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
                }
                typename Body::registers& own = r[warp * 32 + lane];
                Body::absorb(*shared, warp * 32 + lane, u, g, c, u == 7, own.sum[g],
                             own.isum[Body::wide ? g : 0], own.msum[Body::keeps_minima ? g : 0]);
              }
            }
      }
      for (std::uint32_t t = 0; t < Body::threads; ++t)
        for (std::uint32_t g = 0; g < Body::rows / 8; ++g)
          Body::write(a, {.block_x = x, .block_y = y, .thread = t}, g, r[t].sum[g]);
    }
}

// Where the memory that kernels see comes from: the heap, or on a real device what both sides
// reach.
struct memory_hook {
  void* (*take)(std::size_t bytes) = [](std::size_t bytes) { return std::malloc(bytes); };
  void (*give)(void* memory) = [](void* memory) { std::free(memory); };
};
inline memory_hook& kernel_memory() {
  static memory_hook hook;
  return hook;
}

// Memory as the device gives it: at a multiple of 256, with guard bytes behind it, which the
// address sanitizer lets nobody read.
class device_bytes {
 public:
  explicit device_bytes(std::size_t bytes, std::uint8_t fill = 0xff)
      : bytes_(bytes), memory_(kernel_memory().take(bytes + 512 + 64)) {
    std::memset(memory_, fill, bytes + 512 + 64);
    std::memset(data() + bytes, 0x5a, guard_bytes);
    forbid_guard();
  }
  template <class T>
  explicit device_bytes(const std::vector<T>& values) : device_bytes(values.size() * sizeof(T)) {
    if (!values.empty()) std::memcpy(data(), values.data(), bytes_);
  }
  ~device_bytes() {
    allow_guard();
    kernel_memory().give(memory_);
  }
  device_bytes(const device_bytes&) = delete;
  device_bytes& operator=(const device_bytes&) = delete;

  std::uint8_t* data() const {
    auto* begin = static_cast<std::uint8_t*>(memory_);
    return begin + (256 - reinterpret_cast<std::uintptr_t>(begin) % 256);
  }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data());
  }
  template <class T>
  std::vector<T> copied() const {
    return {as<T>(), as<T>() + bytes_ / sizeof(T)};
  }
  bool guarded() const {
    allow_guard();
    const bool whole = std::all_of(data() + bytes_, data() + bytes_ + guard_bytes,
                                   [](std::uint8_t byte) { return byte == 0x5a; });
    forbid_guard();
    return whole;
  }

 private:
  static constexpr std::size_t guard_bytes = 64;
#if defined(__SANITIZE_ADDRESS__)
  void forbid_guard() const {
    __asan_poison_memory_region(data() + bytes_, guard_bytes);
  }
  void allow_guard() const {
    __asan_unpoison_memory_region(data() + bytes_, guard_bytes);
  }
#else
  void forbid_guard() const {}
  void allow_guard() const {}
#endif

  std::size_t bytes_;
  void* memory_;
};

}  // namespace troupe::kernels::testing
