// The numbers that a schema allows, as automata over the bytes they are written with. Pure.
//
// An integer has at most 18 digits, so that it fits 64 bits everywhere; a number without bounds at
// most 18 before the point, 17 after it and two in its exponent; with bounds at most 15 together
// and no exponent, so that reading it as a double cannot move it past a bound. Zero has no sign
// where there are bounds.
#pragma once

#include <optional>

#include "kernels/constraint/automaton.hpp"
#include "kernels/constraint/json_text.hpp"

namespace troupe::kernels::constraint {

struct number_bound {
  decimal value;
  bool exclusive = false;
};

struct number_limits {
  bool whole = false;  // integers only
  std::optional<number_bound> least, most;
  std::uint32_t multiple_of = 1;  // whole only
};

// True where some bound leaves no number at all (2 < x < 1).
bool leave_nothing(const number_limits& limits);

// Refuses (invalid_argument) bounds that such short numbers cannot keep, and more than states_max.
result<automaton> compile_number(const number_limits& limits, std::size_t states_max);

}  // namespace troupe::kernels::constraint
