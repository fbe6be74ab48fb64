// Patterns of ECMA-262 as automata over the bytes of a JSON text, quotes and escapes included.
//
// Taken: characters, '.', classes, \d \D \w \W \s \S, \t \n \v \f \r \0 \xHH \uHHHH and escaped
// punctuation, groups, '|', the quantifiers * + ? {n} {n,} {n,m} (lazy ones too: the set of texts
// is the same), '^' at the beginning and '$' at the end of a whole alternative. Refused by name:
// look-around, back references, \b, \B, \p, other anchors.
#pragma once

#include <string_view>

#include "kernels/constraint/automaton.hpp"

namespace troupe::kernels::constraint {

inline constexpr std::size_t pattern_bytes_max = 4096;

enum class text_form {
  json_text,  // between quotes; what JSON demands is escaped, in the shortest form
  plain       // the characters alone
};

// As JSON Schema reads patterns: a part of the text is enough unless '^' and '$' say otherwise.
// Errors: invalid_argument, with the byte offset in the pattern.
result<automaton> compile_pattern(std::string_view pattern, text_form form, std::size_t states_max);

// The texts of `texts` (in json_text form) with as many characters as the bounds say.
result<automaton> limit_length(const automaton& texts, length_bounds bounds,
                               std::size_t states_max);

// Edges from one state to another for all characters from low to high, none of which is a control
// character, a quote or a backslash unless the form is plain.
void add_utf8(automaton_draft& draft, state_id from, char32_t low, char32_t high, state_id to,
              edge marks = 0);

}  // namespace troupe::kernels::constraint
