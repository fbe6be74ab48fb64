// Python's rules for values: what is true, equal, smaller, contained, iterable, and what stands
// under a name or an index. All throw template_failure where Python or Jinja2 would raise.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

// "str", "int", "list", ..., as Python names it in messages.
std::string_view type_name(const value& v);
std::string reason_of(const undefined_value& v);
[[noreturn]] void fail_undefined(const value& v);  // v is undefined

bool is_true(const value& v);
bool equals(rendering& run, const value& a, const value& b);
// Below, equal to, above zero; fails for what has no order.
int order(rendering& run, const value& a, const value& b);
bool contains(rendering& run, const value& in, const value& what);

// A number as Python counts it: True is 1.
std::optional<std::int64_t> integer_of(const value& v);
std::optional<double> number_of(const value& v);

// The items of a list, the keys of a dict, the characters of a text; an iterator is used up by it.
// The span is valid as long as the rendering.
std::span<const value> items_of(rendering& run, const value& v);
std::size_t length_of(rendering& run, const value& v);
bool is_iterable(const value& v);

value character_at(rendering& run, std::string_view text, std::int64_t index);
value attribute_of(rendering& run, const value& of, std::string_view name);
value item_of(rendering& run, const value& of, const value& key);
const value* find_entry(rendering& run, const mapping& in, const value& key);
void set_entry(rendering& run, mapping& in, const value& key, const value& to);
// Bounds are none or integers, as in of[start:stop:step].
value slice_of(rendering& run, const value& of, const value& start, const value& stop,
               const value& step);

}  // namespace troupe::kernels::chat
