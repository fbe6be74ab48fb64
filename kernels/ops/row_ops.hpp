// The row operations of one instruction set, chosen by name. All variants give the same bits.
#pragma once

#include <string_view>

#include "kernels/ops/attention.hpp"
#include "kernels/ops/elementwise.hpp"

namespace troupe::kernels {

struct row_ops {
  std::string_view name;
  elementwise_ops elementwise;
  attention_ops attention;     // over keys and values in float16
  attention_ops attention_q8;  // in q8_0

  const attention_ops& attention_of(kv_type type) const {
    return type == kv_type::q8_0 ? attention_q8 : attention;
  }
};

// "reference", "portable", "avx2", "avx512"; "amx" has the ops of avx512. Null: unknown, or not on
// this machine.
const row_ops* find_row_ops(std::string_view variant);
// The fastest of this machine.
const row_ops& best_row_ops();

}  // namespace troupe::kernels
