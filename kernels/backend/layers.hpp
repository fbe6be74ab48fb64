// Which layers a stage computes, checked; for all backends.
#pragma once

#include <string>

#include "kernels/engine.hpp"
#include "kernels/model/model.hpp"

namespace troupe::kernels {

// The same with its end named. Errors: invalid_argument, where it is no part of the model.
inline result<layer_range> checked_layers(layer_range wish, const hyperparameters& shape) {
  if (wish.end == 0) wish.end = shape.layers;
  if (wish.first >= wish.end || wish.end > shape.layers)
    return error{error_code::invalid_argument,
                 "layers " + std::to_string(wish.first) + " to " + std::to_string(wish.end) +
                     " of a model of " + std::to_string(shape.layers),
                 "name a part of the model with at least one layer"};
  return wish;
}

// A model of these layers alone: for what is counted by layer.
inline hyperparameters part_of(const hyperparameters& shape, layer_range layers) {
  hyperparameters part = shape;
  part.layers = layers.end - layers.first;
  return part;
}

// A stage after the first reads what the one before gave. Errors: invalid_argument.
inline status check_stream(layer_range layers, std::uint64_t values, std::uint64_t rows,
                           std::uint64_t width) {
  if (layers.first == 0 || values == rows * width) return {};
  return error{error_code::invalid_argument,
               std::to_string(values) + " values came for " + std::to_string(rows) + " rows of " +
                   std::to_string(width),
               "hand on what the stage before gave"};
}

}  // namespace troupe::kernels
