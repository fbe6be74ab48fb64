// Rows "on the device" whose best are looked for, and best_of() beside them. Run on the host by
// unit tests, and on a GPU by tests/cuda.
#pragma once

#include <doctest/doctest.h>

#include <limits>

#include "kernels/backend/cuda/bodies/best_bodies.hpp"
#include "tests/unit/kernels/cuda_pages.hpp"

namespace troupe::kernels::testing {

struct best_rows {
  static constexpr std::uint32_t rows_all = 6;

  // Random; random with many ties; all equal; all falling; with zeros of both signs and a NaN; with
  // infinities.
  explicit best_rows(std::uint64_t length)
      : n(length), values(random_floats(rows_all * length, static_cast<std::uint32_t>(length))) {
    for (std::uint64_t i = 0; i < n; ++i) {
      row(1)[i] = std::round(row(1)[i] * 2);
      row(2)[i] = 1.5f;
      row(3)[i] = -static_cast<float>(i);
      if (i % 3 != 0) row(4)[i] = i % 3 == 1 ? 0.0f : -0.0f;
    }
    row(4)[n / 2] = std::numeric_limits<float>::quiet_NaN();
    row(5)[n - 1] = std::numeric_limits<float>::infinity();
    row(5)[n / 2] = -std::numeric_limits<float>::infinity();
  }
  float* row(std::uint32_t i) { return &values[i * n]; }

  // launch(what, rows) finds the best of rows 5, 0, 3, 1, 2, 4.
  template <class Launch>
  void check(Launch launch) {
    const std::vector<std::uint32_t> asked{5, 0, 3, 1, 2, 4};
    const std::uint64_t blocks = (n + 1023) / 1024;
    const device_bytes logits(values), rows(asked);
    const device_bytes keys(rows_all * best_keys(n) * 8), best(rows_all * 64 * 8),
        sums(rows_all * blocks * 4);
    launch(best_launch{.logits = logits.as<float>(),
                       .n = n,
                       .rows = rows.as<std::uint32_t>(),
                       .keys = keys.as<std::uint64_t>(),
                       .best = best.as<token_logit>(),
                       .sums = sums.as<float>()},
           rows_all);
    for (std::uint32_t r = 0; r < rows_all; ++r) {
      INFO("row " << asked[r] << " of " << n);
      const best_logits wanted =
          best_of({row(asked[r]), n}, best_logits_max, reference().elementwise);
      const token_logit* got = best.as<token_logit>() + r * 64;
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < wanted.tokens.size(); ++i)
        if (std::memcmp(&got[i], &wanted.tokens[i], sizeof got[i]) != 0) ++wrong;
      CHECK(wrong == 0);
      if (!std::isfinite(got[0].logit)) continue;
      for (std::size_t i = wanted.tokens.size(); i < 64; ++i) CHECK(got[i].id == -1);
      double sum = 0;
      for (std::uint64_t b = 0; b < blocks; ++b) sum += sums.as<float>()[r * blocks + b];
      CHECK(sum == wanted.exponential_sum);
    }
    for (const device_bytes* one : {&keys, &best, &sums}) CHECK(one->guarded());
  }

  std::uint64_t n;
  std::vector<float> values;
};

}  // namespace troupe::kernels::testing
