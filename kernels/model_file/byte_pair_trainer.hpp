// Learns byte-pair merges from words with counts: again and again the pair of neighbours that
// occurs most often becomes a token. Ties go to the pair with the smaller ids, so the result is the
// same everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace troupe::kernels {

struct counted_word {
  std::string bytes;
  std::uint64_t count = 1;
};

// Token ids: 0 to 255 are the bytes, 256 + i is merge i.
struct byte_pair_merge {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  std::string bytes;  // of the merged token; no two merges make the same
};

// At most `wanted` merges; fewer where no pair is left that occurs twice.
std::vector<byte_pair_merge> train_byte_pairs(const std::vector<counted_word>& words,
                                              std::size_t wanted);

}  // namespace troupe::kernels
