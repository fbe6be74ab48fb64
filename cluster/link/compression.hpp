// zstd for frame bodies: one body, one zstd frame, both sizes bounded by the caller. Pure.
//
// Threading: an object belongs to one thread at a time; it keeps its contexts between calls.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace troupe::link {

class body_compressor {
 public:
  body_compressor();
  ~body_compressor();
  body_compressor(const body_compressor&) = delete;
  body_compressor& operator=(const body_compressor&) = delete;

  // Writes the compressed body to out and gives its size; 0 where it would not save at least a
  // sixteenth, or where out is smaller than that. After bodies that did not shrink it stops trying
  // for a while (2, 4, .. 64 bodies): weights and caches rarely shrink, and trying costs more than
  // sending.
  std::size_t compress(std::span<const std::uint8_t> raw, std::span<std::uint8_t> out);

  // True where packed holds exactly one zstd frame that says raw.size() and fills raw exactly.
  bool decompress(std::span<const std::uint8_t> packed, std::span<std::uint8_t> raw);

 private:
  struct contexts;
  std::unique_ptr<contexts> contexts_;
  std::uint32_t skip_ = 0;       // bodies still to be sent as they are
  std::uint32_t fruitless_ = 0;  // attempts in a row that did not shrink
};

}  // namespace troupe::link
