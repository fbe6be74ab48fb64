// Hyperparameters from a GGUF file's metadata. Private to model::open.
#pragma once

#include "config/outcome.hpp"
#include "kernels/gguf/gguf.hpp"
#include "kernels/model/model.hpp"

namespace troupe::kernels {

// All but the vocabulary's size, which the embedding tensor gives. Errors: unsupported (another
// architecture, a RoPE scaling or a mixture of experts that this build does not compute),
// data_corrupt (a missing or impossible number), naming the key.
result<hyperparameters> read_hyperparameters(const gguf_file& file);

}  // namespace troupe::kernels
