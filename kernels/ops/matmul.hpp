// y[m][n] = sum over k of x[m][k] * w[n][k], for weights of any tensor type. The bits are fixed by
// this contract (numerics class cpu-1) and are the same for every variant, thread count, number of
// rows m and tile size.
//
// Float weights (f32, f16, bf16): w is widened to float. Lane j of 16 adds, by fused multiply-add
// in rising k, the products of k = j, j + 16, j + 32 ..., beginning at +0; the lanes are then added
// by the fixed tree: 8 + 8, 4 + 4, 2 + 2, 1 + 1 (lane i with lane i + half). A k beyond the row, up
// to the next multiple of 16, adds a product of +0.
//
// Quantized weights: each row of x is quantized to int8, q8_0 and q4_0 in blocks of 32, the
// k-quants in blocks of 256. Within a block all products are exact 32-bit integers, so their order
// does not matter; then, block by block in rising k, in one chain from +0: acc = fma(d_w * d_x,
// float(isum), acc), and for types with a minimum (q4_k, q5_k) after it acc = fma(-(dmin_w * d_x),
// float(msum), acc), where isum includes the sub-block scales (and the type's constant offset: -8
// for q4_0, -32 for q6_k) and msum is the sum of each sub-block minimum times the sum of x there.
//
// Activation quantization of a block: d = max|x| / 127, q = round-to-nearest-even(x * (1 / d)),
// each step rounded to float. A d below the smallest normal float counts as 0, and then q = 0. A
// block that holds an infinity or a NaN has d = NaN and q = 0, so that every output of that row is
// NaN. The sign and payload of a NaN output are not fixed.
//
// Threading: make() first; pack_rows() on disjoint ranges from any threads; then the matrix is
// immutable. reserve() by one thread, prepare() on disjoint rows from any threads, then multiply()
// from any threads on disjoint output rows (a barrier between those steps is the caller's). Errors:
// asserts only, the caller has checked shapes (k is a multiple of the type's block). No call
// allocates except make() and reserve().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/gguf/tensor_type.hpp"

namespace troupe::kernels {

// A weight matrix in the form that the kernels read: quantized types are repacked (16 rows
// interleaved, as many bytes as the file's), float types stay in place. The source bytes must
// outlive it (float types and the reference variant read them).
class packed_matrix;

std::uint64_t packed_bytes(
    const packed_matrix& matrix);  // memory of its own; 0 when it reads the source in place

// The forms that x is prepared in. Matrices of types of one kind share one prepared x.
enum class activation_kind : std::uint8_t { floats, int8_by_32, int8_by_256 };

constexpr activation_kind activation_kind_of(tensor_type type) {
  switch (type) {
    case tensor_type::f32:
    case tensor_type::f16:
    case tensor_type::bf16:
      return activation_kind::floats;
    case tensor_type::q8_0:
    case tensor_type::q4_0:
      return activation_kind::int8_by_32;
    default:
      return activation_kind::int8_by_256;
  }
}

// x prepared once for a step, shared by all threads and by every matrix of the same kind that reads
// the same x. It is a copy: x may go once all its rows are prepared.
class activations {
 public:
  activations();
  ~activations();
  activations(activations&&) noexcept;
  activations& operator=(activations&&) noexcept;

  // Makes room for `rows` rows of length k in the kind of `type`; forgets what was prepared. Memory
  // never shrinks, so that it allocates nothing after the largest step has been seen.
  void reserve(tensor_type type, std::uint64_t k, std::uint64_t rows);

  struct state;
  state& inner() { return *state_; }
  const state& inner() const { return *state_; }

 private:
  std::unique_ptr<state> state_;
};

// One variant's functions; chosen once when the engine is made. All variants but "reference" share
// the packed form and all share the prepared form, but a matrix is multiplied by the variant that
// made it.
struct matmul_backend {
  std::string_view name;
  // n = rows, k = row length; `source` is the tensor's bytes (rows in order). Allocates; pack_rows
  // fills.
  std::shared_ptr<packed_matrix> (*make)(tensor_type type, std::uint64_t n, std::uint64_t k,
                                         std::span<const std::byte> source);
  // Packs rows [row_begin, row_end) of the source; row_begin is a multiple of packed_rows(),
  // row_end too or n.
  void (*pack_rows)(packed_matrix& into, std::uint64_t row_begin, std::uint64_t row_end);
  // Prepares rows [row_begin, row_end) of x (all rows, row stride k) for weights of `type`, after
  // out.reserve().
  void (*prepare)(tensor_type type, std::uint64_t k, std::span<const float> x,
                  std::uint64_t row_begin, std::uint64_t row_end, activations& out);
  // Writes y[row * y_stride + n] for rows [0, m) of x and n in [n_begin, n_end), nothing else.
  // n_begin is a multiple of packed_rows(), n_end too or n. y_stride in floats.
  void (*multiply)(const packed_matrix& w, const activations& x, std::uint64_t m,
                   std::uint64_t n_begin, std::uint64_t n_end, float* y, std::uint64_t y_stride);
};

// The instruction sets compiled in that this machine can run, best first; "portable" and
// "reference" are always there.
std::span<const std::string_view> matmul_variants();

// Null where this machine cannot run it or there is no such variant. "" is the best one.
const matmul_backend* find_matmul_backend(std::string_view variant);

constexpr std::uint32_t packed_rows() {
  return 16;
}

}  // namespace troupe::kernels
