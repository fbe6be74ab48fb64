#include "cluster/link/compression.hpp"

#include <zstd.h>

#include <algorithm>

namespace troupe::link {
namespace {

constexpr int level = 1;
constexpr std::uint32_t fruitless_max = 6;  // 2^6 bodies are skipped at most

struct free_context {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

struct body_compressor::contexts {
  std::unique_ptr<ZSTD_CCtx, free_context> pack{ZSTD_createCCtx()};
  std::unique_ptr<ZSTD_DCtx, free_context> unpack{ZSTD_createDCtx()};
};

body_compressor::body_compressor() : contexts_(std::make_unique<contexts>()) {}
body_compressor::~body_compressor() = default;

std::size_t body_compressor::compress(std::span<const std::uint8_t> raw,
                                      std::span<std::uint8_t> out) {
  if (skip_ > 0) return --skip_, 0;
  const std::size_t worthwhile = raw.size() - raw.size() / 16;
  const std::size_t size =
      ZSTD_compressCCtx(contexts_->pack.get(), out.data(), std::min(out.size(), worthwhile),
                        raw.data(), raw.size(), level);
  if (!ZSTD_isError(size) && size < raw.size()) return fruitless_ = 0, size;
  fruitless_ = std::min(fruitless_ + 1, fruitless_max);
  skip_ = 1u << fruitless_;
  return 0;
}

bool body_compressor::decompress(std::span<const std::uint8_t> packed,
                                 std::span<std::uint8_t> raw) {
  if (ZSTD_getFrameContentSize(packed.data(), packed.size()) != raw.size()) return false;
  if (ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size()) return false;
  const std::size_t size = ZSTD_decompressDCtx(contexts_->unpack.get(), raw.data(), raw.size(),
                                               packed.data(), packed.size());
  return !ZSTD_isError(size) && size == raw.size();
}

}  // namespace troupe::link
