// Bodies of Ollama's API as work for the cluster.
//
// Where they differ from OpenAI's: answers stream unless told not to, parameters lie in "options",
// and a plain prompt goes through the model's chat template unless "raw". Pure.
#pragma once

#include <string_view>

#include "cluster/http/asked_work.hpp"

namespace troupe::http {

work_or_error read_ollama_generate(std::string_view body, const request_limits& limits);
work_or_error read_ollama_chat(std::string_view body, const request_limits& limits);

}  // namespace troupe::http
