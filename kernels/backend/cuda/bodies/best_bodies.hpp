// Bodies that find the best of a row of logits and the sum of its exponentials: best_of() of
// ops/best_logits.hpp, bit for bit.
//
// A logit and its id are one number to be sorted by: 32 bits that rise with the order, then the
// complement of the id. Blocks sort 1024 of these and keep the 64 best, over and over until one
// block is left. 0 is worse than any.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/body_math.hpp"
#include "kernels/ops/best_logits.hpp"

namespace troupe::kernels::cuda {

TROUPE_BODY std::uint64_t sort_key(float logit, std::uint32_t id) {
  const std::uint32_t bits = bits_of(logit) == 0x80000000u ? 0u : bits_of(logit);  // -0 is 0
  const std::uint32_t rising = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return std::uint64_t{finite(logit) ? rising : 0xffffffffu} << 32 | (0xffffffffu - id);
}

// Grid: (chunks of 1024, rows).
struct keep_best_body {
  static constexpr std::uint32_t threads = 256, chunk = 1024, chunk_log = 10;
  static constexpr std::uint32_t kept = best_logits_max;
  static constexpr std::uint32_t sorting_steps = chunk_log * (chunk_log + 1) / 2;
  struct arguments {
    const float* logits;
    std::uint64_t n;            // of a row
    const std::uint32_t* rows;  // which rows of `logits`
    const std::uint64_t* keys;  // [rows][count]: what is left; null: all of the logits
    std::uint64_t count;
    std::uint64_t* out;  // [rows][chunks][kept]; null: one chunk is the last
    token_logit* best;   // then: [rows][kept], id -1 where the row is shorter
  };
  struct shared {
    std::uint64_t keys[chunk];
  };
  struct registers {};

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) {
    return sorting_steps + 2;
  }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers&) {
    if (i == 0)
      load(a, at, s);
    else if (i <= sorting_steps)
      exchange(i - 1, at.thread, s);
    else if (at.thread < kept)
      write(a, at, s.keys[at.thread]);
  }

  TROUPE_BODY static void load(const arguments& a, const place& at, shared& s) {
    const std::uint64_t begin = std::uint64_t{at.block_x} * chunk;
    const float* row = a.logits + std::uint64_t{a.rows[at.block_y]} * a.n;
    for (std::uint32_t t = at.thread; t < chunk; t += threads) {
      const std::uint64_t from = begin + t;
      if (from >= a.count)
        s.keys[t] = 0;
      else if (a.keys == nullptr)
        s.keys[t] = sort_key(row[from], static_cast<std::uint32_t>(from));
      else
        s.keys[t] = a.keys[at.block_y * a.count + from];
    }
  }

  // Step `i` of a bitonic sort, largest first.
  TROUPE_BODY static void exchange(std::uint32_t i, std::uint32_t thread, shared& s) {
    std::uint32_t run_log = 1;
    while (i >= run_log) i -= run_log++;
    const std::uint32_t apart = 1u << (run_log - 1 - i);
    for (std::uint32_t pair = thread; pair < chunk / 2; pair += threads) {
      const std::uint32_t first = pair / apart * (2 * apart) + pair % apart;
      const std::uint64_t a = s.keys[first], b = s.keys[first + apart];
      const bool falls = (first >> run_log & 1u) == 0;
      if ((a < b) == falls) {
        s.keys[first] = b;
        s.keys[first + apart] = a;
      }
    }
  }

  TROUPE_BODY static void write(const arguments& a, const place& at, std::uint64_t key) {
    if (a.out != nullptr) {
      const std::uint64_t chunks = (a.count + chunk - 1) / chunk;
      a.out[(at.block_y * chunks + at.block_x) * kept + at.thread] = key;
      return;
    }
    const std::uint32_t id = 0xffffffffu - static_cast<std::uint32_t>(key);
    token_logit& to = a.best[at.block_y * std::uint64_t{kept} + at.thread];
    to.id = key == 0 ? -1 : static_cast<std::int32_t>(id);
    to.logit = key == 0 ? 0.0f : a.logits[std::uint64_t{a.rows[at.block_y]} * a.n + id];
  }
};

// sums[row][block]: exp(logit - the best) over 1024 of the row, by lanes and tree. Grid: (blocks of
// 1024, rows).
struct sum_exponentials_body {
  static constexpr std::uint32_t threads = 128;
  static constexpr std::uint32_t block = static_cast<std::uint32_t>(exponential_sum_block);
  struct arguments {
    const float* logits;
    std::uint64_t n;
    const std::uint32_t* rows;
    const token_logit* best;  // [rows][best_logits_max]
    float* sums;
  };
  struct shared {
    float e[block];
    float lanes[16];
  };
  struct registers {};

  TROUPE_BODY static std::uint32_t steps(const arguments&, const place&) { return 3; }
  TROUPE_BODY static void step(std::uint32_t i, const arguments& a, const place& at, shared& s,
                               registers&) {
    const std::uint64_t begin = std::uint64_t{at.block_x} * block;
    const std::uint32_t some =
        a.n - begin < block ? static_cast<std::uint32_t>(a.n - begin) : block;
    if (i == 0) {
      const float* row = a.logits + std::uint64_t{a.rows[at.block_y]} * a.n + begin;
      const float largest = a.best[at.block_y * std::uint64_t{best_logits_max}].logit;
      for (std::uint32_t t = at.thread; t < some; t += threads)
        s.e[t] = exact_exponential(row[t] - largest);
    } else if (i == 1 && at.thread < 16) {
      float sum = 0;
      for (std::uint32_t t = at.thread; t < some; t += 16) sum = sum + s.e[t];
      s.lanes[at.thread] = sum;
    } else if (i == 2 && at.thread == 0) {
      const std::uint64_t blocks = (a.n + block - 1) / block;
      a.sums[at.block_y * blocks + at.block_x] = tree_of(s.lanes);
    }
  }
};

// Where the best of some rows are found, and what it takes.
struct best_launch {
  const float* logits = nullptr;
  std::uint64_t n = 0;
  const std::uint32_t* rows = nullptr;
  std::uint64_t* keys = nullptr;  // best_keys(n) for each row, to work in
  token_logit* best = nullptr;
  float* sums = nullptr;
};

constexpr std::uint64_t best_chunks(std::uint64_t count) {
  return (count + keep_best_body::chunk - 1) / keep_best_body::chunk;
}
constexpr std::uint64_t best_keys(std::uint64_t n) {
  const std::uint64_t first = best_chunks(n) * keep_best_body::kept;
  return first + best_chunks(first) * keep_best_body::kept;
}

// Calls run(arguments, chunks) for one level after another, until 64 of each row are left; stops at
// the first that returns anything but 0, and returns it.
template <class Run>
int for_best_levels(const best_launch& what, std::uint32_t rows, Run run) {
  std::uint64_t* const halves[] = {what.keys,
                                   what.keys + rows * best_chunks(what.n) * keep_best_body::kept};
  keep_best_body::arguments a{what.logits, what.n, what.rows, nullptr, what.n, nullptr, what.best};
  for (std::uint32_t level = 0;; ++level) {
    const std::uint64_t chunks = best_chunks(a.count);
    a.out = chunks > 1 ? halves[level % 2] : nullptr;
    if (const int code = run(a, static_cast<std::uint32_t>(chunks)); code != 0 || chunks <= 1)
      return code;
    a.keys = a.out;
    a.count = chunks * keep_best_body::kept;
  }
}

}  // namespace troupe::kernels::cuda
