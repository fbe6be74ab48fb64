// What methods of texts and filters share.
#pragma once

#include <optional>

#include "kernels/chat_template/rendering.hpp"

namespace troupe::kernels::chat {

enum class strip_side { left, right, both };

// A changed text, of which the rendering has counted what the change needs.
std::string changed_text(rendering& run, std::string (*change)(std::string_view),
                         std::string_view text);
// Without characters: without white space.
value stripped(rendering& run, std::string_view text, std::optional<std::string_view> characters,
               strip_side side);
// At most `count` times; all where it is negative. An empty `old` stands between all characters.
value replaced(rendering& run, std::string_view text, std::string_view old, std::string_view fresh,
               std::int64_t count);
value centered(rendering& run, std::string_view text, std::int64_t width, std::string_view fill);

}  // namespace troupe::kernels::chat
