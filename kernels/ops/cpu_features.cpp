#include "kernels/ops/cpu_features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#endif

namespace troupe::kernels {
namespace {

#if defined(__x86_64__)

struct registers {
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
};

registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  registers r;
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
  return r;
}

constexpr bool bit(std::uint32_t word, int n) {
  return (word >> n & 1) != 0;
}

// XCR0: the register states that the operating system saves.
std::uint64_t saved_states() {
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

// Linux hands out the tile registers only to a process that asks (ARCH_REQ_XCOMP_PERM, XTILEDATA).
bool request_tiles() {
  constexpr long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

cpu_features detect() {
  cpu_features found;
  const registers basic = cpuid(1, 0), extended = cpuid(7, 0);
  if (!bit(basic.c, 27)) return found;  // osxsave
  const std::uint64_t states = saved_states();
  const bool ymm = (states & 0x6) == 0x6;
  const bool zmm = (states & 0xe6) == 0xe6;
  const bool tiles = (states >> 17 & 3) == 3;
  const bool fma = bit(basic.c, 12), f16c = bit(basic.c, 29);
  found.avx2 = ymm && fma && f16c && bit(extended.b, 5);
  found.avx512 = found.avx2 && zmm && bit(extended.b, 16) && bit(extended.b, 17) &&
                 bit(extended.b, 30) && bit(extended.b, 31) && bit(extended.c, 11);
  found.amx =
      found.avx512 && tiles && bit(extended.d, 24) && bit(extended.d, 25) && request_tiles();
  return found;
}

#else

cpu_features detect() {
  return {};
}

#endif

}  // namespace

const cpu_features& this_cpu() {
  static const cpu_features found = detect();
  return found;
}

}  // namespace troupe::kernels
