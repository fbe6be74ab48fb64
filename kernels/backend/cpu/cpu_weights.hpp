// A model's weights in the form that the CPU kernels read, packed by all threads of the pool.
//
// Immutable after load. Refers to the model's mapped file, which must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/backend/cpu/thread_pool.hpp"
#include "kernels/engine.hpp"
#include "kernels/model/model.hpp"
#include "kernels/ops/matmul.hpp"

namespace troupe::kernels {

struct cpu_matrix {
  tensor_type type = tensor_type::f32;
  std::uint64_t n = 0;  // output values
  std::uint64_t k = 0;  // input values
  std::shared_ptr<packed_matrix> packed;
};

struct cpu_layer {
  std::vector<float> attention_norm, feed_forward_norm;
  cpu_matrix query, key, value, attention_output, gate, up, down;
};

struct cpu_weights {
  std::vector<cpu_layer> layers;   // of the range that was loaded
  std::vector<float> output_norm;  // this and the output: with the last layer alone
  cpu_matrix output;
  std::uint64_t bytes = 0;  // memory that they take, mapped pages of float types included

  // Throws std::bad_alloc where memory runs out.
  static cpu_weights load(const model& source, layer_range layers, const matmul_backend& backend,
                          thread_pool& pool);
};

}  // namespace troupe::kernels
