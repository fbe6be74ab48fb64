// The rules of arrays and objects, as drafts: brackets, blanks, names, and calls for what stands
// inside. And those of values that are listed one by one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/constraint/automaton.hpp"
#include "kernels/constraint/json_text.hpp"

namespace troupe::kernels::constraint {

struct array_shape {
  std::vector<value_call> first;   // by position
  std::optional<value_call> rest;  // all after them
  length_bounds count;             // of items
};

// How often the rule's commas tick: those after the first item that is one of the rest.
length_bounds comma_bounds(const array_shape& shape);
automaton_draft draft_array(const array_shape& shape, std::size_t states_max);

struct object_shape {
  struct member {
    std::string name;
    bool required = false;
    value_call value;
  };
  std::vector<member> members;     // written in this order
  std::optional<value_call> more;  // of members with other names, after them
};

result<automaton_draft> draft_object(const object_shape& shape, std::size_t states_max);

// Exactly these values: their members in their order, each number and text in one form.
automaton_draft draft_choices(std::span<const json_value> choices, std::size_t states_max);

}  // namespace troupe::kernels::constraint
