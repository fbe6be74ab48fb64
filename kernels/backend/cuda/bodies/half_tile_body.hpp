// The body of half_product_bodies.hpp's products for many rows of x, with the same bits: a tile of
// 128 outputs by Rows rows of x, whose weights are decoded once and lie in shared memory as halves.
#pragma once

#include <cstdint>

#include "kernels/backend/cuda/bodies/half_product_bodies.hpp"

namespace troupe::kernels::cuda {

// A group of k at a time, in two buffers: while one is multiplied the other is filled. Its steps:
// fetch() and store() of group 0; then, for each group, a barrier, fetch() of the next, products(a
// and b of each quarter), store() of the next, and finish_slice() where a slice ends. In the end
// write(). Grid: (n / 128, rows / Rows).
//
// A row of a buffer is eight pieces of eight values; the pieces of odd rows are swapped in pairs,
// so that the eight lanes that read at once meet eight different banks of 16 bytes.
template <tensor_type Type, std::uint32_t Rows>
struct half_tile_body {
  static constexpr std::uint32_t threads = 256, outputs = 128, rows = Rows, pieces = 8;
  static constexpr std::uint32_t row_warps = Rows / 32, output_warps = 8 / row_warps;
  static constexpr std::uint32_t m_tiles = outputs / 16 / output_warps, n_tiles = 4;  // of a warp
  static constexpr std::uint32_t sixteens = outputs * 4 / threads;  // that a thread decodes
  using arguments = half_product_arguments;
  struct shared {
    quad w[2][outputs][pieces];
    quad x[2][Rows][pieces];
  };
  struct fetched {
    sixteen_bytes<Type> w[quantized(Type) ? sixteens : 1];
  };
  struct sums {
    float sum[m_tiles][n_tiles][4];    // of the slice
    float total[m_tiles][n_tiles][4];  // of those before it
  };

  TROUPE_BODY static std::uint32_t place_of(std::uint32_t row, std::uint32_t piece) {
    return piece ^ (row & 1u);
  }

  // x, and weights that need no decoding, into their buffer; others into registers.
  TROUPE_BODY static void fetch(const arguments& a, const place& at, std::uint32_t group, shared& s,
                                fetched& kept) {
    const std::uint64_t width = half_width(a.w.k);
    for (std::uint32_t i = at.thread; i < Rows * pieces; i += threads) {
      const std::uint32_t m = i / pieces, piece = i % pieces;
      std::uint64_t row = std::uint64_t{at.block_y} * Rows + m;
      row = row < a.rows ? row : a.rows - 1;
      const std::uint16_t* from =
          a.x + row * width + std::uint64_t{group} * group_values + piece * 8;
      copy_quad(&s.x[group % 2][m][place_of(m, piece)],
                reinterpret_cast<const std::uint8_t*>(from));
    }
    if constexpr (quantized(Type)) {
      TROUPE_UNROLL
      for (std::uint32_t i = 0; i < sixteens; ++i)
        kept.w[i] = read_weights<Type>(a.w, output_of(at, i), sixteen_of(at, group));
    } else {
      for (std::uint32_t i = at.thread; i < outputs * pieces; i += threads)
        fetch_piece(a, at, group, i / pieces, i % pieces, s);
    }
  }

  TROUPE_BODY static void fetch_piece(const arguments& a, const place& at, std::uint32_t group,
                                      std::uint32_t o, std::uint32_t piece, shared& s) {
    std::uint64_t n = std::uint64_t{at.block_x} * outputs + o;
    n = n < a.w.n ? n : a.w.n - 1;
    const std::uint8_t* row = a.w.blocks + n * a.w.k * 2;
    const std::uint64_t begin = std::uint64_t{group} * group_values + piece * 8;
    quad* to = &s.w[group % 2][o][place_of(o, piece)];
    if (a.w.k % 8 == 0 && begin < a.w.k)
      copy_quad(to, row + begin * 2);
    else
      *to = read_eight(row, a.w.k, begin);
  }

  // Which weights a thread decodes: sixteens one after another lie beside each other.
  TROUPE_BODY static std::uint32_t row_of(const place& at, std::uint32_t i) {
    return (at.thread + i * threads) / 4;
  }
  TROUPE_BODY static std::uint64_t output_of(const place& at, std::uint32_t i) {
    return std::uint64_t{at.block_x} * outputs + row_of(at, i);
  }
  TROUPE_BODY static std::uint32_t sixteen_of(const place& at, std::uint32_t group) {
    return group * 4 + at.thread % 4;
  }

  TROUPE_BODY static void store(const place& at, std::uint32_t group, const fetched& kept,
                                shared& s) {
    if constexpr (quantized(Type)) {
      TROUPE_UNROLL
      for (std::uint32_t i = 0; i < sixteens; ++i) {
        const sixteen_halves h = halves_of<Type>(kept.w[i], sixteen_of(at, group));
        const std::uint32_t o = row_of(at, i), piece = at.thread % 4 * 2;
        s.w[group % 2][o][place_of(o, piece)] = {h.word[0], h.word[1], h.word[2], h.word[3]};
        s.w[group % 2][o][place_of(o, piece + 1)] = {h.word[4], h.word[5], h.word[6], h.word[7]};
      }
    }
    finish_copies();
  }

  // Two products' fragments: `half` 0 has a group's products 0 and 1.
  struct a_pair {
    quad row[2];  // of A, and eight rows further
    TROUPE_BODY half_a of(std::uint32_t product) const {
      const std::uint32_t at = product * 2;
      return {{row[0].word[at], row[1].word[at], row[0].word[at + 1], row[1].word[at + 1]}};
    }
  };
  struct b_pair {
    quad column;
    TROUPE_BODY half_b of(std::uint32_t product) const {
      return {{column.word[product * 2], column.word[product * 2 + 1]}};
    }
  };

  TROUPE_BODY static std::uint32_t first_output(std::uint32_t thread, std::uint32_t m_tile) {
    return thread / 32 / row_warps * (m_tiles * 16) + m_tile * 16;
  }
  TROUPE_BODY static std::uint32_t first_row(std::uint32_t thread, std::uint32_t n_tile) {
    return thread / 32 % row_warps * 32 + n_tile * 8;
  }
  TROUPE_BODY static a_pair a(const shared& s, std::uint32_t thread, std::uint32_t group,
                              std::uint32_t half, std::uint32_t m_tile) {
    const std::uint32_t o = first_output(thread, m_tile) + thread % 32 / 4;
    const std::uint32_t at = place_of(o, thread % 4 * 2 + half);  // o + 8 is odd where o is
    return {{s.w[group % 2][o][at], s.w[group % 2][o + 8][at]}};
  }
  TROUPE_BODY static b_pair b(const shared& s, std::uint32_t thread, std::uint32_t group,
                              std::uint32_t half, std::uint32_t n_tile) {
    const std::uint32_t m = first_row(thread, n_tile) + thread % 32 / 4;
    return {s.x[group % 2][m][place_of(m, thread % 4 * 2 + half)]};
  }

  TROUPE_BODY static bool ends_slice(const half_slices& slices, std::uint32_t group) {
    return (group + 1) % slices.each == 0 || group + 1 == slices.groups;
  }
  TROUPE_BODY static void finish_slice(sums& of) {
    TROUPE_UNROLL
    for (std::uint32_t m = 0; m < m_tiles; ++m) {
      TROUPE_UNROLL
      for (std::uint32_t t = 0; t < n_tiles; ++t) {
        TROUPE_UNROLL
        for (std::uint32_t i = 0; i < 4; ++i) {
          of.total[m][t][i] = of.total[m][t][i] + of.sum[m][t][i];
          of.sum[m][t][i] = 0;
        }
      }
    }
  }

  TROUPE_BODY static void write(const arguments& a, const place& at, const sums& of) {
    const std::uint32_t lane = at.thread % 32;
    TROUPE_UNROLL
    for (std::uint32_t m = 0; m < m_tiles; ++m) {
      TROUPE_UNROLL
      for (std::uint32_t t = 0; t < n_tiles; ++t) {
        TROUPE_UNROLL
        for (std::uint32_t i = 0; i < 4; ++i) {
          const std::uint64_t n = std::uint64_t{at.block_x} * outputs + first_output(at.thread, m) +
                                  lane / 4 + i / 2 * 8;
          const std::uint64_t row =
              std::uint64_t{at.block_y} * Rows + first_row(at.thread, t) + lane % 4 * 2 + i % 2;
          if (n < a.w.n && row < a.rows) put_half(a, row, n, of.total[m][t][i]);
        }
      }
    }
  }
};

}  // namespace troupe::kernels::cuda
