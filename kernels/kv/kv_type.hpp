// How keys and values are kept. Each type is a numerics class of its own. Plain data: the files of
// each instruction set include it.
#pragma once

#include <cstdint>

namespace troupe::kernels {

enum class kv_type : std::uint8_t {
  f16,   // class cpu-1
  q8_0,  // class cpu-1-kvq8
};

}  // namespace troupe::kernels
