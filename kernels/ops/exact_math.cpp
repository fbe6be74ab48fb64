// Argument reduction by constants split so that the products with small integers are exact, then
// Taylor series whose first left-out term is below half a unit in the last place on the reduced
// range.
#include "kernels/ops/exact_math.hpp"

#include <bit>
#include <cstdint>
#include <limits>

namespace troupe::kernels {
namespace {

constexpr double ln2_high = 0x1.62e42fee00000p-1;  // 32 bits
constexpr double ln2_low = 0x1.a39ef35793c76p-33;
constexpr double half_pi_1 = 0x1.921fb54400000p+0;  // 33 bits each
constexpr double half_pi_2 = 0x1.0b4611a600000p-34;
constexpr double half_pi_3 = 0x1.3198a2e037073p-69;
constexpr double round_magic = 0x1.8p52;  // adding it rounds to an integer, ties to even
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double nearest_integer(double x) {
  return (x + round_magic) - round_magic;
}

double power_of_two(int n) {  // -1022 <= n <= 1023
  return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

// 1/1! .. 1/n! by division, so that no table of constants can be mistyped.
struct factorials {
  double inverse[22];
  constexpr factorials() : inverse{} {
    double f = 1;
    inverse[0] = 1;
    for (int i = 1; i < 22; ++i) {
      f *= i;  // exact up to 22!
      inverse[i] = 1 / f;
    }
  }
};
constexpr factorials factorial;

}  // namespace

double exact_exp(double x) {
  if (x != x) return x;
  if (x < -700) return 0;
  if (x > 700) return std::numeric_limits<double>::infinity();
  const double n = nearest_integer(x * 0x1.71547652b82fep+0);
  const double r = (x - n * ln2_high) - n * ln2_low;
  double p = factorial.inverse[14];
  for (int i = 13; i >= 0; --i) p = p * r + factorial.inverse[i];
  return p * power_of_two(static_cast<int>(n));
}

double exact_log(double x) {
  if (!(x >= std::numeric_limits<double>::min()) || x > std::numeric_limits<double>::max())
    return nan;
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xfffffffffffffull) | 0x3ff0000000000000ull);
  if (m > 0x1.6a09e667f3bcdp+0) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1) / (m + 1), square = s * s;  // log m = 2 atanh s, |s| < 0.1716
  double p = 1.0 / 25;
  for (int i = 23; i >= 3; i -= 2) p = p * square + 1.0 / i;
  const double atanh_tail = s * square * p;
  return exponent * ln2_high + (2 * s + (2 * atanh_tail + exponent * ln2_low));
}

sine_cosine exact_sine_cosine(double x) {
  if (!(x >= -0x1.8p20 && x <= 0x1.8p20)) return {nan, nan};
  const double n = nearest_integer(x * 0x1.45f306dc9c883p-1);
  // n has 20 bits at most, so its products with the first two parts are exact.
  const double r = ((x - n * half_pi_1) - n * half_pi_2) - n * half_pi_3;
  const double square = r * r;
  double s = factorial.inverse[19], c = factorial.inverse[20];
  for (int i = 17; i >= 1; i -= 2) s = factorial.inverse[i] - s * square;
  for (int i = 18; i >= 0; i -= 2) c = factorial.inverse[i] - c * square;
  s *= r;
  switch (static_cast<std::int64_t>(n) & 3) {
    case 0:
      return {s, c};
    case 1:
      return {c, -s};
    case 2:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

}  // namespace troupe::kernels
