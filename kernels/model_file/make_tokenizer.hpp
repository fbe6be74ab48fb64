// Writes a generated tokenizer into a model file: exactly `vocabulary` tokens, the ones that
// training does not fill being of type "unused".
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/gguf/gguf.hpp"

namespace troupe::kernels {

// kind is one of model_tokenizer_names; vocabulary at least 512. Gives the number of unused tokens.
std::uint64_t write_tokenizer(gguf_writer& writer, std::string_view kind, std::uint32_t vocabulary);

}  // namespace troupe::kernels
