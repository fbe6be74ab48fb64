#include "kernels/ops/matmul.hpp"

#include <cassert>
#include <cstring>
#include <vector>

#include "kernels/ops/cpu_features.hpp"
#include "kernels/ops/matmul_packed.hpp"

namespace troupe::kernels {
namespace {

template <const matmul_kernels& Kernels>
std::shared_ptr<packed_matrix> make(tensor_type type, std::uint64_t n, std::uint64_t k,
                                    std::span<const std::byte> source) {
  return std::make_shared<packed_matrix>(type, n, k, source, Kernels);
}

void pack_rows(packed_matrix& into, std::uint64_t row_begin, std::uint64_t row_end) {
  into.pack_rows(row_begin, row_end);
}

float* scale_at(const activations::state& s, std::uint64_t row) {
  return s.d + row / group_rows * group_rows * (s.view.k / s.block) + row % group_rows;
}

template <const matmul_kernels& Kernels>
void prepare(tensor_type type, std::uint64_t k, std::span<const float> x, std::uint64_t row_begin,
             std::uint64_t row_end, activations& out) {
  activations::state& s = out.inner();
  assert(s.kind == activation_kind_of(type) && s.view.k == k && row_end <= s.rows);
  assert(x.size() >= row_end * k);
  for (std::uint64_t row = row_begin; row < row_end; ++row) {
    const float* from = x.data() + row * k;
    if (s.kind == activation_kind::floats)
      std::memcpy(s.values + row * s.view.stride, from, k * sizeof(float));
    else if (s.kind == activation_kind::int8_by_32)
      Kernels.quantize_by_32(from, k, s.q + row * s.view.stride, scale_at(s, row),
                             s.sums + row * (k / 32));
    else
      Kernels.quantize_by_256(from, k, s.q + row * s.view.stride, scale_at(s, row),
                              s.sums16 + row * (k / 16), s.sums32 + row * (k / 32));
  }
}

void multiply(const packed_matrix& w, const activations& x, std::uint64_t m, std::uint64_t n_begin,
              std::uint64_t n_end, float* y, std::uint64_t y_stride) {
  w.multiply(x, m, n_begin, n_end, y, y_stride);
}

template <const matmul_kernels& Kernels>
constexpr matmul_backend backend(std::string_view name) {
  return {name, make<Kernels>, pack_rows, prepare<Kernels>, multiply};
}

struct variant_row {
  matmul_backend backend;
  bool (*runs_on)(const cpu_features&);
};

// Best first.
const variant_row variant_table[] = {
#if defined(__x86_64__)
    {backend<amx_kernels>("amx"), [](const cpu_features& cpu) { return cpu.amx; }},
    {backend<avx512_kernels>("avx512"), [](const cpu_features& cpu) { return cpu.avx512; }},
    {backend<avx2_kernels>("avx2"), [](const cpu_features& cpu) { return cpu.avx2; }},
#endif
    {backend<portable_kernels>("portable"), [](const cpu_features&) { return true; }},
    {backend<reference_kernels>("reference"), [](const cpu_features&) { return true; }},
};

}  // namespace

std::span<const std::string_view> matmul_variants() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> found;
    for (const variant_row& row : variant_table)
      if (row.runs_on(this_cpu())) found.push_back(row.backend.name);
    return found;
  }();
  return names;
}

const matmul_backend* find_matmul_backend(std::string_view variant) {
  for (const variant_row& row : variant_table)
    if (row.runs_on(this_cpu()) && (variant.empty() || row.backend.name == variant))
      return &row.backend;
  return nullptr;
}

}  // namespace troupe::kernels
