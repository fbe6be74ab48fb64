// How much of everything a chat template may take.
#pragma once

#include <cstddef>

namespace troupe::kernels {

// What a template may take; more is refused with an error that names the bound. A step is one
// part of an expression or statement, or 32 bytes of text read or written.
struct chat_template_bounds {
  std::size_t source_bytes = 256 * 1024;
  std::size_t nesting = 100;     // of blocks, of expressions, of values
  std::size_t macro_depth = 40;  // calls inside calls
  std::size_t steps = 10'000'000;
  std::size_t loop_turns = 200'000;       // all loops together
  std::size_t text_bytes = 16 << 20;      // one text, and the prompt
  std::size_t memory_bytes = 256u << 20;  // all values of one rendering together
};

}  // namespace troupe::kernels
