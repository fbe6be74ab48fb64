// JSON texts (strings) as automata over bytes, quotes included. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "kernels/constraint/automaton.hpp"

namespace troupe::kernels::constraint {

// Every JSON text: valid UTF-8, all escapes, surrogates only in pairs. The first edge of each
// character ticks, the closing quote closes: a call's bounds are the text's length in characters.
automaton any_text();

// Every text but `names`, in the shortest form of each character (so no \u), for members whose
// names must differ from those that a schema names. Without names: any text, as above, unmarked.
result<automaton> any_name_but(std::span<const std::string> names, std::size_t states_max);

// The pattern of a `format`: date-time, date, time, uuid, email, ipv4; "" for others.
std::string_view format_pattern(std::string_view format);

}  // namespace troupe::kernels::constraint
