#include "cluster/http/openai_request.hpp"

#include "cluster/http/job_fields.hpp"

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

constexpr std::int64_t alternatives_max = 20;
constexpr std::uint32_t completion_tokens = 16;  // OpenAI's default
constexpr std::size_t user_bytes_max = 120;      // it becomes a tenant of at most 128 bytes

// n and the jobs that it makes of each prompt, with their seeds.
void multiply(json_fields& from, const request_limits& limits, asked_work& work,
              const std::vector<proto::JobSpecification>& prompts) {
  work.plan.choices =
      static_cast<std::uint32_t>(from.integer("n", 1, limits.choices_max).value_or(1));
  if (prompts.size() * work.plan.choices > limits.jobs_max)
    return from.wrong("n", "makes " + std::to_string(prompts.size() * work.plan.choices) +
                               " answers; allowed: at most " + std::to_string(limits.jobs_max));
  for (const proto::JobSpecification& prompt : prompts)
    for (std::uint32_t choice = 0; choice < work.plan.choices; ++choice) {
      proto::JobSpecification& job = *work.jobs.emplace_back().mutable_job();
      job = prompt;
      if (job.sampling().has_seed())
        job.mutable_sampling()->set_seed(choice_seed(job.sampling().seed(), choice));
    }
}

void read_streaming(json_fields& from, reply_plan& plan) {
  plan.streams = from.flag("stream", false);
  const json* given = from.find("stream_options");
  if (!given) return;
  if (!plan.streams) return from.wrong("stream_options", "is only for a stream; set stream");
  json_fields options(*given, "stream_options");
  plan.usage_in_stream = options.flag("include_usage", false);
  options.refuse_unknown();
  from.take_fault(options);
}

void read_response_format(json_fields& from, proto::JobSpecification& job) {
  const json* given = from.find("response_format");
  if (!given) return;
  json_fields format(*given, "response_format");
  const std::string type = format.text("type", 64).value_or("");
  if (type == "json_object") {
    job.mutable_sampling()->mutable_constraint()->set_json_object(true);
  } else if (type == "json_schema") {
    const json* described = format.find("json_schema");
    static const json missing;
    json_fields schema(described ? *described : missing, "response_format.json_schema");
    schema.text("name", 256);
    schema.text("description", text_bytes_max);
    schema.flag("strict", false);  // the constraint always holds
    const json* content = schema.find("schema");
    if (schema.fine() && (!content || !content->is_object()))
      schema.wrong("schema", "is missing or no object");
    schema.refuse_unknown();
    format.take_fault(schema);
    if (format.fine()) constrain(*content, job);
  } else if (type != "text" && format.fine()) {
    format.wrong("type", "is \"" + type + "\"; allowed: text, json_object, json_schema");
  }
  format.refuse_unknown();
  from.take_fault(format);
}

// What completions and chats have in common, into every prompt.
void read_generation(json_fields& from, const request_limits& limits, asked_work& work,
                     std::vector<proto::JobSpecification>& prompts, std::uint32_t tokens,
                     std::uint32_t alternatives) {
  proto::JobSpecification shared;
  shared.set_model(work.plan.model);
  read_sampling(from, limits, shared);
  read_response_format(from, shared);
  read_streaming(from, work.plan);
  shared.set_tokens_max(tokens);
  shared.set_alternatives(alternatives);
  shared.set_token_bytes(work.plan.log_probabilities);
  work.user = from.text("user", user_bytes_max).value_or("");
  from.only("store", false);
  for (proto::JobSpecification& prompt : prompts) prompt.MergeFrom(shared);
  multiply(from, limits, work, prompts);
  from.refuse_unknown();
}

}  // namespace

work_or_error read_completion(std::string_view body, const request_limits& limits) {
  return read_work(body, reply_kind::completion, [&](json_fields& from, asked_work& work) {
    std::vector<proto::JobSpecification> prompts;
    if (from.fine()) read_prompts(from, "prompt", limits, prompts);
    const auto alternatives = from.integer("logprobs", 0, alternatives_max);
    work.plan.log_probabilities = alternatives.has_value();
    const auto tokens = from.integer("max_tokens", 1, limits.tokens_max);
    from.only("echo", false);
    from.only("best_of", 1);
    from.only("suffix", "");
    read_generation(from, limits, work, prompts,
                    static_cast<std::uint32_t>(tokens.value_or(completion_tokens)),
                    static_cast<std::uint32_t>(alternatives.value_or(0)));
  });
}

work_or_error read_chat(std::string_view body, const request_limits& limits) {
  return read_work(body, reply_kind::chat, [&](json_fields& from, asked_work& work) {
    std::vector<proto::JobSpecification> prompts(1);
    if (from.fine()) read_messages(from, limits, *prompts[0].mutable_chat());
    if (const json* variables = from.find("chat_template_kwargs")) {
      if (!variables->is_object())
        from.wrong("chat_template_kwargs", "is " + kind_of(*variables) + "; allowed: an object");
      else
        prompts[0].mutable_chat()->set_variables_json(variables->dump());
    }
    work.plan.log_probabilities = from.flag("logprobs", false);
    const auto alternatives = from.integer("top_logprobs", 0, alternatives_max);
    if (alternatives.value_or(0) > 0 && !work.plan.log_probabilities)
      from.wrong("top_logprobs", "needs logprobs to be true");
    const auto older = from.integer("max_tokens", 1, limits.tokens_max);
    const auto newer = from.integer("max_completion_tokens", 1, limits.tokens_max);
    if (older && newer && *older != *newer)
      from.wrong("max_tokens", "and max_completion_tokens differ; give one of them");
    const std::int64_t tokens = newer ? *newer : older.value_or(limits.tokens_max);
    read_generation(from, limits, work, prompts, static_cast<std::uint32_t>(tokens),
                    static_cast<std::uint32_t>(alternatives.value_or(0)));
  });
}

work_or_error read_embeddings(std::string_view body, const request_limits& limits) {
  return read_work(body, reply_kind::embedding, [&](json_fields& from, asked_work& work) {
    std::vector<proto::JobSpecification> prompts;
    if (from.fine()) read_prompts(from, "input", limits, prompts);
    const std::string format = from.text("encoding_format", 16).value_or("float");
    if (from.fine() && format != "float" && format != "base64")
      from.wrong("encoding_format", "is \"" + format + "\"; allowed: float, base64");
    work.plan.base64 = format == "base64";
    work.user = from.text("user", user_bytes_max).value_or("");
    from.refuse_unknown();
    for (proto::JobSpecification& prompt : prompts) {
      prompt.set_model(work.plan.model);
      prompt.set_embed(true);
      prompt.set_tokens_max(1);
      prompt.mutable_sampling()->set_top_p(1);
      prompt.mutable_sampling()->set_repetition_penalty(1);
      *work.jobs.emplace_back().mutable_job() = std::move(prompt);
    }
  });
}

}  // namespace troupe::http
