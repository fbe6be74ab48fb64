// Bodies of OpenAI's API, with the extensions that vLLM and llama-server share, as work for the
// cluster.
//
// A field that is not supported is refused by its name. Pure.
#pragma once

#include <string_view>

#include "cluster/http/asked_work.hpp"

namespace troupe::http {

work_or_error read_completion(std::string_view body, const request_limits& limits);
work_or_error read_chat(std::string_view body, const request_limits& limits);
work_or_error read_embeddings(std::string_view body, const request_limits& limits);

}  // namespace troupe::http
