// Filters: `value | name(arguments)`. Meanings and defaults are Jinja2's; tojson's are
// transformers'. Where text is escaped for HTML, it stays plain text afterwards.
#pragma once

#include <span>
#include <string_view>

#include "kernels/chat_template/value.hpp"

namespace troupe::kernels::chat {

struct filter_row {
  std::string_view name;
  builtin run;
};

// Null where there is none of this name.
const filter_row* find_filter(std::string_view name);

// The parts of the table, each beside its functions.
std::span<const filter_row> text_filters();
std::span<const filter_row> number_filters();
std::span<const filter_row> sequence_filters();
std::span<const filter_row> choosing_filters();

}  // namespace troupe::kernels::chat
