// Methods of texts, dicts, lists and loops: value.name(arguments). Those that would change a list
// or dict are refused, as transformers' sandbox does.
#pragma once

#include <optional>
#include <string_view>

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

// Null where the type has no such method. A known method that is left out gives a builtin that
// refuses.
builtin find_text_method(std::string_view name);
builtin find_mapping_method(std::string_view name);
builtin find_sequence_method(std::string_view name);
builtin find_loop_method(std::string_view name);
// Index, length, neighbours: attributes of a loop that are no methods.
std::optional<value> loop_attribute(rendering& run, const loop_state& loop, std::string_view name);

}  // namespace troupe::kernels::chat
