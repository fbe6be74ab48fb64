// Dates as text, by strftime's letters, with English names whatever the machine's locale is.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace troupe::kernels::chat {

// Throws template_failure for a letter that is not supported.
std::string calendar_text(std::chrono::local_seconds time, std::string_view format);

}  // namespace troupe::kernels::chat
