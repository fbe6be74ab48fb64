// The parts of a request's body that several APIs share, read into a job's specification.
#pragma once

#include <functional>
#include <string_view>

#include "cluster/http/asked_work.hpp"
#include "cluster/http/json_fields.hpp"

namespace troupe::http {

inline constexpr std::size_t model_name_bytes_max = 256;
inline constexpr std::size_t text_bytes_max = 64u << 20;  // bodies are bounded before

// temperature, top_p, top_k, min_p and the penalties, seed, logit_bias, stop, ignore_eos: names
// that OpenAI, vLLM and llama-server share. Absent ones take OpenAI's defaults: temperature 1,
// top_p 1.
void read_sampling(json_fields& from, const request_limits& limits, proto::JobSpecification& job);
void read_stop(json_fields& from, proto::JobSpecification& job);
// "prompt": a text, a list of token ids, a list of texts, or a list of lists of token ids.
void read_prompts(json_fields& from, const char* name, const request_limits& limits,
                  std::vector<proto::JobSpecification>& prompts);
// "messages": roles system, developer, user, assistant; content a text or a list of text parts.
void read_messages(json_fields& from, const request_limits& limits, proto::ChatPrompt& chat);
// The body as an object with its required "model", then what `read` makes of it; or the first
// fault.
work_or_error read_work(std::string_view body, reply_kind kind,
                        const std::function<void(json_fields&, asked_work&)>& read);
// A JSON schema as a constraint.
void constrain(const nlohmann::ordered_json& schema, proto::JobSpecification& job);

}  // namespace troupe::http
