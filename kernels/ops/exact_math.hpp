// exp, log, sine and cosine in double that are the same on every machine: only +, -, *, / and
// comparisons, each rounded once, so that no C library's version enters the numerics class. Error
// below 1e-15 relative (sine and cosine: absolute).
#pragma once

namespace troupe::kernels {

double exact_exp(double x);  // 0 below -700, infinity above 700
double exact_log(double x);  // x > 0, normal and finite; else NaN

struct sine_cosine {
  double sine;
  double cosine;
};
// |x| <= 1.5 * 2^20; NaN beyond.
sine_cosine exact_sine_cosine(double x);

}  // namespace troupe::kernels
