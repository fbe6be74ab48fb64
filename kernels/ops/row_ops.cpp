#include "kernels/ops/row_ops.hpp"

#include "kernels/ops/cpu_features.hpp"
#include "kernels/ops/row_ops_variants.hpp"

namespace troupe::kernels {
namespace {

const row_ops reference_ops{"reference", elementwise_reference, attention_reference,
                            attention_q8_reference};
const row_ops portable_ops{"portable", elementwise_portable, attention_portable,
                           attention_q8_portable};
#if defined(__x86_64__)
const row_ops avx2_ops{"avx2", elementwise_avx2, attention_avx2, attention_q8_avx2};
const row_ops avx512_ops{"avx512", elementwise_avx512, attention_avx512, attention_q8_avx512};
#endif

}  // namespace

const row_ops* find_row_ops(std::string_view variant) {
  if (variant == "reference") return &reference_ops;
  if (variant == "portable") return &portable_ops;
#if defined(__x86_64__)
  if (variant == "avx2" && this_cpu().avx2) return &avx2_ops;
  if ((variant == "avx512" || variant == "amx") && this_cpu().avx512) return &avx512_ops;
#endif
  return nullptr;
}

const row_ops& best_row_ops() {
  for (const std::string_view name : {"avx512", "avx2"})
    if (const row_ops* ops = find_row_ops(name)) return *ops;
  return portable_ops;
}

}  // namespace troupe::kernels
