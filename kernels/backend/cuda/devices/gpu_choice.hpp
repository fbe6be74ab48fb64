// Which of several GPUs an engine goes to where the settings name none. Pure.
//
// Most free memory first, since a model that does not fit is of no use; those that have nearly as
// much count alike. Among these the coolest, then the least busy, each with some latitude; what is
// not told counts as well as any. Last the lowest index.
#pragma once

#include <span>

#include "kernels/cuda_engine.hpp"

namespace troupe::kernels::cuda {

// Null: none, or all are lost.
const cuda_device* choose_gpu(std::span<const cuda_device> devices);

}  // namespace troupe::kernels::cuda
