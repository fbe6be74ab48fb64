// How a served answer is told: a line for people, a JSON document for scripts. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cluster/client/troupe.hpp"

namespace troupe::cli {

struct served_answer {
  std::vector<client::token> tokens;
  std::string text;
  client::report report;
  std::optional<error> failure;
  // As this client saw it, from the moment of submitting.
  std::chrono::steady_clock::duration first_token{}, last_token{};
};

// Computed: tokens after the first, by the time between the first and the last. From a cache: all
// tokens, by the whole time. 0 where there is no such time.
double tokens_per_second(const served_answer& answer);

// "node=mainpc gateway=pc2 engine=cpu class=cpu-1 variant=avx512 source=computed
// first_token_ms=12.5 tokens=48 ..."
std::string answer_line(const served_answer& answer);

// The document of `troupe submit --json`; tools/README.md lists its fields.
std::string answer_document(const served_answer& answer);

std::string_view word_of(client::finish_reason reason);
std::string_view word_of(client::answer_source source);

}  // namespace troupe::cli
