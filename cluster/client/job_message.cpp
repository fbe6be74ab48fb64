#include "cluster/client/job_message.hpp"

#include <nlohmann/json.hpp>

#include "cluster/client/utf8_text.hpp"

namespace troupe::client {
namespace {

// Text that is not UTF-8 cannot travel; everything else is the gateway's to judge.
status check_texts(const job& request) {
  const auto check = [](const std::string& what, const std::string& text) -> status {
    if (auto at = utf8_fault(text))
      return error{error_code::invalid_argument,
                   what + " is not UTF-8: the fault is at byte " + std::to_string(*at),
                   "give UTF-8"};
    return {};
  };
  if (status fine = check("the prompt", request.prompt); !fine) return fine;
  if (status fine = check("the model's name", request.model); !fine) return fine;
  for (const std::string& stop : request.stop)
    if (status fine = check("a stop text", stop); !fine) return fine;
  if (status fine = check("the JSON schema", request.json_schema); !fine) return fine;
  if (status fine = check("the tenant's name", request.tenant); !fine) return fine;
  if (!request.chat) return {};
  for (const chat_message& one : request.chat->messages) {
    if (status fine = check("a message's role", one.role); !fine) return fine;
    if (status fine = check("a message's content", one.content); !fine) return fine;
  }
  if (status fine = check("messages_json", request.chat->messages_json); !fine) return fine;
  if (status fine = check("tools_json", request.chat->tools_json); !fine) return fine;
  return check("variables_json", request.chat->variables_json);
}

// Wishes that cannot both hold; each alone is the gateway's to judge.
status check_wishes(const job& request) {
  const auto invalid = [](const char* message, const char* mend) -> status {
    return error{error_code::invalid_argument, message, mend};
  };
  if (request.json_object && !request.json_schema.empty())
    return invalid("json_object and json_schema are both given", "give one of them");
  if (!request.chat) return {};
  if (!request.prompt.empty() || !request.prompt_ids.empty())
    return invalid("a chat and a prompt are both given", "give one of them");
  if (!request.chat->messages.empty() && !request.chat->messages_json.empty())
    return invalid("messages and messages_json are both given", "give one of them");
  return {};
}

void fill_prompt(proto::JobSpecification& job, const troupe::client::job& request) {
  if (request.chat) {
    proto::ChatPrompt& chat = *job.mutable_chat();
    nlohmann::ordered_json messages = nlohmann::ordered_json::array();
    for (const chat_message& one : request.chat->messages)
      messages.push_back({{"role", one.role}, {"content", one.content}});
    chat.set_messages_json(request.chat->messages_json.empty() ? messages.dump()
                                                               : request.chat->messages_json);
    chat.set_tools_json(request.chat->tools_json);
    chat.set_variables_json(request.chat->variables_json);
  } else if (!request.prompt_ids.empty()) {
    job.mutable_token_ids()->mutable_ids()->Add(request.prompt_ids.begin(),
                                                request.prompt_ids.end());
  } else {
    job.set_text(request.prompt);
  }
}

proto::JobPriority priority_of(job_priority priority) {
  switch (priority) {
    case job_priority::background:
      return proto::PRIORITY_BACKGROUND;
    case job_priority::urgent:
      return proto::PRIORITY_URGENT;
    case job_priority::normal:
      break;
  }
  return proto::PRIORITY_NORMAL;
}

}  // namespace

status check_job(const job& request) {
  if (status fine = check_texts(request); !fine) return fine;
  return check_wishes(request);
}

proto::SubmitJob message_of(const job& request, std::string id) {
  proto::SubmitJob out;
  out.set_job_id(std::move(id));
  out.set_cache_bypass(request.cache_bypass);
  out.set_tenant(request.tenant);
  out.set_priority(priority_of(request.priority));
  proto::JobSpecification& job = *out.mutable_job();
  job.set_model(request.model);
  fill_prompt(job, request);
  job.set_alternatives(request.alternatives);
  job.set_embed(request.embed);
  job.set_score(request.score);
  job.set_tokens_max(request.tokens_max);
  for (const std::string& stop : request.stop) job.add_stop(stop);
  job.set_parse_special(request.parse_special);
  job.set_ignore_end(request.ignore_end);
  proto::SamplingParameters& sampling = *job.mutable_sampling();
  sampling.set_temperature(request.sampling.temperature);
  sampling.set_top_k(request.sampling.top_k);
  sampling.set_top_p(request.sampling.top_p);
  sampling.set_min_p(request.sampling.min_p);
  sampling.set_repetition_penalty(request.sampling.repetition_penalty);
  sampling.set_presence_penalty(request.sampling.presence_penalty);
  sampling.set_frequency_penalty(request.sampling.frequency_penalty);
  if (request.sampling.seed) sampling.set_seed(*request.sampling.seed);
  for (const token_bias& one : request.sampling.logit_bias) {
    proto::LogitBias& bias = *sampling.add_logit_bias();
    bias.set_id(one.id);
    bias.set_bias(one.bias);
  }
  if (request.json_object) sampling.mutable_constraint()->set_json_object(true);
  if (!request.json_schema.empty())
    sampling.mutable_constraint()->set_json_schema(request.json_schema);
  return out;
}

}  // namespace troupe::client
