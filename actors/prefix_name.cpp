#include "actors/prefix_name.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <string>

namespace troupe {
namespace {

constexpr std::size_t block_tokens = kernels::kv_block_tokens;

template <class Integer>
void put(unsigned char* to, Integer value) {
  for (std::size_t i = 0; i < sizeof value; ++i) to[i] = static_cast<unsigned char>(value >> 8 * i);
}

}  // namespace

prefix_name prefix_root(std::string_view model_digest, std::string_view numerics_class) {
  std::string text{model_digest};
  text += '\0';
  text += numerics_class;
  return XXH3_64bits(text.data(), text.size());
}

prefix_name prefix_next(prefix_name before, std::span<const kernels::token_id, block_tokens> ids) {
  std::array<unsigned char, sizeof before + block_tokens * sizeof(std::uint32_t)> bytes;
  put(bytes.data(), before);
  for (std::size_t i = 0; i < block_tokens; ++i)
    put(bytes.data() + sizeof before + i * sizeof(std::uint32_t),
        static_cast<std::uint32_t>(ids[i]));
  return XXH3_64bits(bytes.data(), bytes.size());
}

void extend_prefix_names(std::vector<prefix_name>& names, prefix_name root,
                         std::span<const kernels::token_id> ids) {
  names.reserve(ids.size() / block_tokens);
  while ((names.size() + 1) * block_tokens <= ids.size())
    names.push_back(prefix_next(names.empty() ? root : names.back(),
                                ids.subspan(names.size() * block_tokens).first<block_tokens>()));
}

}  // namespace troupe
