// Memory of packed weights and prepared activations. Private to the matrix product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/ops/matmul.hpp"
#include "kernels/ops/matmul_layout.hpp"

namespace troupe::kernels {

// Zeroed, 64-byte aligned, on huge pages where the machine gives them. Throws std::bad_alloc.
class page_memory {
 public:
  page_memory() = default;
  explicit page_memory(std::size_t bytes);
  ~page_memory();
  page_memory(page_memory&& other) noexcept;
  page_memory& operator=(page_memory&& other) noexcept;

  std::uint8_t* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t bytes_ = 0;
  void* mapped_ = nullptr;        // what was mapped, where data_ lies inside a mapping
  std::size_t mapped_bytes_ = 0;  // 0: data_ is from the heap
};

// Bytes of a quantized type's block: of one row in the file, of a group when packed. All 0 for
// float types.
struct packed_geometry {
  std::uint32_t values, source_bytes, quant_bytes, scale_bytes;
};
packed_geometry geometry_of(tensor_type type);

class packed_matrix {
 public:
  packed_matrix(tensor_type type, std::uint64_t n, std::uint64_t k,
                std::span<const std::byte> source, const matmul_kernels& kernels);

  void pack_rows(std::uint64_t row_begin, std::uint64_t row_end);
  void multiply(const activations& x, std::uint64_t m, std::uint64_t n_begin, std::uint64_t n_end,
                float* y, std::uint64_t y_stride) const;
  std::uint64_t bytes() const { return memory_.size(); }

 private:
  tensor_type type_;
  packed_view view_;
  multiply_function* multiply_;
  page_memory memory_;
};

struct activations::state {
  activation_kind kind = activation_kind::floats;
  std::uint64_t rows = 0;   // reserved
  std::uint64_t block = 0;  // values of x that share one d
  activation_view view;
  page_memory memory;  // everything that view points into
  float* values = nullptr;
  std::int8_t* q = nullptr;
  float* d = nullptr;
  std::int32_t* sums = nullptr;
  std::int16_t* sums16 = nullptr;
  std::int16_t* sums32 = nullptr;
};

}  // namespace troupe::kernels
