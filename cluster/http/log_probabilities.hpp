// Tokens with their log-probabilities in OpenAI's shapes. Pure.
//
// A token is named by its text. Where that is no whole UTF-8, by its bytes: "\xf0\x9f" in a chat,
// "bytes:\xf0\x9f" in a completion.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "proto/job.pb.h"

namespace troupe::http {

nlohmann::ordered_json chat_log_probabilities(const proto::JobTokens& tokens);
// offset: characters of the answer before these tokens; moves on by theirs.
nlohmann::ordered_json completion_log_probabilities(const proto::JobTokens& tokens,
                                                    std::uint64_t& offset);

}  // namespace troupe::http
