// The CUDA kernels that find the best of a row, run on the host: the bits of best_of().
#include "tests/unit/kernels/cuda_best_rows.hpp"

using namespace troupe::kernels;
using namespace troupe::kernels::testing;

namespace {

void run(const best_launch& what, std::uint32_t rows, thread_order order) {
  for_best_levels(what, rows, [&](const keep_best_body::arguments& a, std::uint32_t chunks) {
    emulate<keep_best_body>({chunks, rows}, a, order);
    return 0;
  });
  const auto blocks = static_cast<std::uint32_t>((what.n + 1023) / 1024);
  emulate<sum_exponentials_body>({blocks, rows},
                                 {what.logits, what.n, what.rows, what.best, what.sums}, order);
}

}  // namespace

TEST_CASE("cuda: the best of a row and the sum of its exponentials have the reference's bits") {
  for (const std::uint64_t n : {1u, 5u, 63u, 64u, 65u, 1000u, 1024u, 1025u, 2500u, 70000u})
    for (const thread_order order : thread_orders) {
      if (n == 70000 && order != thread_order::mixed) continue;  // slow
      best_rows rows(n);
      rows.check(
          [order](const best_launch& what, std::uint32_t count) { run(what, count, order); });
    }
}

TEST_CASE("cuda: sort keys fall as best_of()'s order does") {
  const float order[] = {std::numeric_limits<float>::max(),   2, 1, 1e-45f, 0, -1e-45f, -1,
                         std::numeric_limits<float>::lowest()};
  for (std::size_t i = 0; i + 1 < std::size(order); ++i) {
    CHECK(sort_key(order[i], 7) > sort_key(order[i + 1], 0));
    CHECK(sort_key(order[i], 7) > sort_key(order[i], 8));
    CHECK(sort_key(order[i + 1], 0x7fffffff) > 0);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::infinity()})
      CHECK(sort_key(bad, 9) > sort_key(order[i], 0));
  }
  CHECK(sort_key(-0.0f, 3) == sort_key(0.0f, 3));
}
