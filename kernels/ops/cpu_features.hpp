// What this machine's processor and operating system let a program run. Detected once, safe from
// any thread.
#pragma once

namespace troupe::kernels {

struct cpu_features {
  bool avx2 = false;    // with fma and f16c
  bool avx512 = false;  // f, bw, vl, dq and vnni
  bool amx = false;  // tile and int8, and the kernel has granted the tile registers to this process
};

const cpu_features& this_cpu();

}  // namespace troupe::kernels
