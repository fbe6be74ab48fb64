#include "kernels/ops/matmul_packed.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace troupe::kernels {
namespace {

constexpr std::uint64_t huge_page = std::uint64_t{2} << 20;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

multiply_function* pick(const matmul_kernels& kernels, tensor_type type) {
  switch (type) {
    case tensor_type::f32:
      return kernels.f32;
    case tensor_type::f16:
      return kernels.f16;
    case tensor_type::bf16:
      return kernels.bf16;
    case tensor_type::q8_0:
      return kernels.q8_0;
    case tensor_type::q4_0:
      return kernels.q4_0;
    case tensor_type::q4_k:
      return kernels.q4_k;
    case tensor_type::q5_k:
      return kernels.q5_k;
    case tensor_type::q6_k:
      return kernels.q6_k;
  }
  return nullptr;
}

// Bytes of one row's block go to every 16th dword of the group's.
void interleave(const std::uint8_t* from, std::uint32_t bytes, std::uint32_t row,
                std::uint8_t* to) {
  for (std::uint32_t i = 0; i < bytes; i += 4)
    std::memcpy(to + i * group_rows + row * 4, from + i, 4);
}

// The 12 bytes of q4_k and q5_k: six-bit scales and minimums of 8 sub-blocks, as the file packs
// them.
void pack_k_scales(const std::uint8_t* from, std::uint32_t row, std::uint8_t* to) {
  std::uint8_t scale[8], minimum[8];
  for (int j = 0; j < 4; ++j) {
    scale[j] = from[j] & 63;
    minimum[j] = from[j + 4] & 63;
    scale[j + 4] = static_cast<std::uint8_t>((from[j + 8] & 15) | (from[j] >> 6) << 4);
    minimum[j + 4] = static_cast<std::uint8_t>((from[j + 8] >> 4) | (from[j + 4] >> 6) << 4);
  }
  for (int j = 0; j < 4; ++j) {
    std::uint8_t* at = to + row * 4 + j;
    at[0] = static_cast<std::uint8_t>((scale[j] & 15) | (minimum[j] & 15) << 4);
    at[64] = static_cast<std::uint8_t>((scale[j + 4] & 15) | (minimum[j + 4] & 15) << 4);
    at[128] = static_cast<std::uint8_t>((scale[j] >> 4) | (scale[j + 4] >> 4) << 2 |
                                        (minimum[j] >> 4) << 4 | (minimum[j + 4] >> 4) << 6);
  }
}

void pack_block(tensor_type type, const std::uint8_t* from, std::uint32_t row, std::uint8_t* quants,
                std::uint8_t* scales) {
  switch (type) {
    case tensor_type::q8_0:  // d, 32 x int8
      interleave(from + 2, 32, row, quants);
      std::memcpy(scales + row * 2, from, 2);
      return;
    case tensor_type::q4_0:  // d, 16 bytes of nibbles
      interleave(from + 2, 16, row, quants);
      std::memcpy(scales + row * 2, from, 2);
      return;
    case tensor_type::q4_k:  // d, dmin, 12 bytes of scales, 128 of nibbles
      interleave(from + 16, 128, row, quants);
      std::memcpy(scales + row * 2, from, 2);
      std::memcpy(scales + 32 + row * 2, from + 2, 2);
      pack_k_scales(from + 4, row, scales + 64);
      return;
    case tensor_type::q5_k:  // d, dmin, 12 bytes of scales, 32 of fifth bits, 128 of nibbles
      interleave(from + 48, 128, row, quants);
      interleave(from + 16, 32, row, quants + 2048);
      std::memcpy(scales + row * 2, from, 2);
      std::memcpy(scales + 32 + row * 2, from + 2, 2);
      pack_k_scales(from + 4, row, scales + 64);
      return;
    case tensor_type::q6_k:  // 128 bytes of low nibbles, 64 of high pairs, 16 int8 scales, d
      interleave(from, 128, row, quants);
      interleave(from + 128, 64, row, quants + 2048);
      interleave(from + 192, 16, row, scales);
      std::memcpy(scales + 256 + row * 2, from + 208, 2);
      return;
    default:
      return;
  }
}

}  // namespace

page_memory::page_memory(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes < huge_page) {
    data_ = static_cast<std::uint8_t*>(std::aligned_alloc(64, round_up(bytes, 64)));
    if (data_ == nullptr) throw std::bad_alloc();
    std::memset(data_, 0, bytes);
    return;
  }
  // Fresh pages are zero and are touched first by the threads that pack. A huge page needs a whole
  // one on its boundary, so ask for one more and begin inside.
  mapped_bytes_ = round_up(bytes, huge_page) + huge_page;
  mapped_ =
      mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped_ == MAP_FAILED) throw std::bad_alloc();
  const auto at = round_up(reinterpret_cast<std::uintptr_t>(mapped_), huge_page);
  data_ = reinterpret_cast<std::uint8_t*>(at);
  madvise(data_, round_up(bytes, huge_page), MADV_HUGEPAGE);  // advice: refusing it does no harm
}

page_memory::~page_memory() {
  if (mapped_bytes_ != 0)
    munmap(mapped_, mapped_bytes_);
  else
    std::free(data_);
}

page_memory::page_memory(page_memory&& other) noexcept {
  *this = std::move(other);
}

page_memory& page_memory::operator=(page_memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  return *this;
}

packed_geometry geometry_of(tensor_type type) {
  switch (type) {
    case tensor_type::q8_0:
      return {32, 34, q8_0_quants, q8_0_scales};
    case tensor_type::q4_0:
      return {32, 18, q4_0_quants, q4_0_scales};
    case tensor_type::q4_k:
      return {k_block, 144, q4_k_quants, q4_k_scales};
    case tensor_type::q5_k:
      return {k_block, 176, q5_k_quants, q5_k_scales};
    case tensor_type::q6_k:
      return {k_block, 210, q6_k_quants, q6_k_scales};
    default:
      return {0, 0, 0, 0};
  }
}

packed_matrix::packed_matrix(tensor_type type, std::uint64_t n, std::uint64_t k,
                             std::span<const std::byte> source, const matmul_kernels& kernels)
    : type_(type), multiply_(pick(kernels, type)) {
  const tensor_type_row& row = row_of(type);
  assert(k % row.elements == 0 && source.size() == n * (k / row.elements * row.bytes));
  view_.n = n;
  view_.k = k;
  view_.source = reinterpret_cast<const std::uint8_t*>(source.data());
  view_.source_stride = k / row.elements * row.bytes;
  const packed_geometry shape = geometry_of(type);
  if (!kernels.packed || shape.values == 0) return;
  const std::uint64_t blocks = k / shape.values;
  view_.group_stride = round_up(blocks * (shape.quant_bytes + shape.scale_bytes), 64);
  memory_ = page_memory(view_.group_stride * ((n + group_rows - 1) / group_rows));
  view_.groups = memory_.data();
}

void packed_matrix::pack_rows(std::uint64_t row_begin, std::uint64_t row_end) {
  assert(row_begin % group_rows == 0 && row_end <= view_.n);
  if (memory_.size() == 0) return;
  const packed_geometry shape = geometry_of(type_);
  const std::uint64_t blocks = view_.k / shape.values;
  for (std::uint64_t n = row_begin; n < row_end; ++n) {
    const std::uint8_t* from = view_.source + n * view_.source_stride;
    std::uint8_t* quants = memory_.data() + n / group_rows * view_.group_stride;
    std::uint8_t* scales = quants + blocks * shape.quant_bytes;
    const auto row = static_cast<std::uint32_t>(n % group_rows);
    for (std::uint64_t b = 0; b < blocks; ++b)
      pack_block(type_, from + b * shape.source_bytes, row, quants + b * shape.quant_bytes,
                 scales + b * shape.scale_bytes);
  }
}

void packed_matrix::multiply(const activations& x, std::uint64_t m, std::uint64_t n_begin,
                             std::uint64_t n_end, float* y, std::uint64_t y_stride) const {
  const activations::state& prepared = x.inner();
  assert(prepared.kind == activation_kind_of(type_) && prepared.view.k == view_.k);
  assert(m <= prepared.rows && n_begin % group_rows == 0 && n_end <= view_.n);
  if (m == 0 || n_begin >= n_end) return;
  multiply_(view_, prepared.view, m, n_begin, n_end, y, y_stride);
}

std::uint64_t packed_bytes(const packed_matrix& matrix) {
  return matrix.bytes();
}

activations::activations() : state_(std::make_unique<state>()) {}
activations::~activations() = default;
activations::activations(activations&&) noexcept = default;
activations& activations::operator=(activations&&) noexcept = default;

void activations::reserve(tensor_type type, std::uint64_t k, std::uint64_t rows) {
  state& s = *state_;
  s.kind = activation_kind_of(type);
  s.rows = rows;
  s.view = {};
  s.view.k = k;
  const std::uint64_t padded = round_up(rows, 32);
  if (s.kind == activation_kind::floats) {
    s.view.stride = round_up(k, 16) + 16;
    const std::uint64_t need = padded * s.view.stride * sizeof(float);
    if (s.memory.size() < need) s.memory = page_memory(need);
    s.values = reinterpret_cast<float*>(s.memory.data());
    s.view.values = s.values;
    return;
  }
  s.view.stride = round_up(k, 64) + 64;
  const bool by_32 = s.kind == activation_kind::int8_by_32;
  s.block = by_32 ? 32 : k_block;
  const std::uint64_t q_bytes = padded * s.view.stride;
  const std::uint64_t d_bytes = round_up(padded * (k / s.block) * 4, 64);
  const std::uint64_t sums_bytes = round_up(padded * (k / 32) * 4, 64);
  const std::uint64_t sums16_bytes = round_up(padded * (k / 16) * 2, 64);
  const std::uint64_t need =
      q_bytes + d_bytes + std::max(sums_bytes, sums16_bytes + sums_bytes / 2 + 64);
  if (s.memory.size() < need) s.memory = page_memory(need);
  std::uint8_t* at = s.memory.data();
  s.q = reinterpret_cast<std::int8_t*>(at);
  s.d = reinterpret_cast<float*>(at + q_bytes);
  at += q_bytes + d_bytes;
  s.sums = reinterpret_cast<std::int32_t*>(at);
  s.sums16 = reinterpret_cast<std::int16_t*>(at);
  s.sums32 = reinterpret_cast<std::int16_t*>(at + sums16_bytes);
  s.view.q = s.q;
  s.view.d = s.d;
  s.view.sums = by_32 ? s.sums : nullptr;
  s.view.sums16 = by_32 ? nullptr : s.sums16;
  s.view.sums32 = by_32 ? nullptr : s.sums32;
}

}  // namespace troupe::kernels
