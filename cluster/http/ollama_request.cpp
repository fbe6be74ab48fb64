#include "cluster/http/ollama_request.hpp"

#include <algorithm>

#include "cluster/http/job_fields.hpp"

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

// Ollama's names for the options, and its defaults.
void read_options(json_fields& from, const request_limits& limits, proto::JobSpecification& job) {
  const json* given = from.find("options");
  static const json none = json::object();
  json_fields options(given ? *given : none, "options");
  proto::SamplingParameters& sampling = *job.mutable_sampling();
  const auto number = [&](const char* name, double minimum, double maximum, double fallback,
                          bool above = false) {
    return static_cast<float>(options.number(name, minimum, maximum, above).value_or(fallback));
  };
  sampling.set_temperature(number("temperature", 0, 100, 0.8));
  sampling.set_top_p(number("top_p", 0, 1, 0.9, true));
  sampling.set_min_p(number("min_p", 0, 1, 0));
  sampling.set_repetition_penalty(number("repeat_penalty", 0, 10, 1, true));
  sampling.set_presence_penalty(number("presence_penalty", -10, 10, 0));
  sampling.set_frequency_penalty(number("frequency_penalty", -10, 10, 0));
  const std::int64_t top_k = options.integer("top_k", -1, INT32_MAX).value_or(40);
  sampling.set_top_k(static_cast<std::uint32_t>(std::max<std::int64_t>(top_k, 0)));
  if (auto seed = options.integer("seed", INT64_MIN, INT64_MAX))
    sampling.set_seed(static_cast<std::uint64_t>(*seed));
  const std::int64_t tokens = options.integer("num_predict", -2, limits.tokens_max).value_or(-1);
  if (tokens == 0) options.wrong("num_predict", "is 0; allowed: 1 and more, or -1");
  job.set_tokens_max(tokens < 0 ? limits.tokens_max : static_cast<std::uint32_t>(tokens));
  read_stop(options, job);
  options.refuse_unknown();
  from.take_fault(options);
}

// Models stay loaded, which is at least what any keep_alive but 0 asks for.
void read_keep_alive(json_fields& from) {
  const json* given = from.find("keep_alive");
  if (!given) return;
  if (!given->is_string() && !given->is_number())
    return from.wrong("keep_alive", "is " + kind_of(*given) + "; allowed: a duration");
  if (*given == 0 || *given == "0" || *given == "0s")
    from.wrong("keep_alive", "of 0 would unload the model, which is not supported here");
}

void read_format(json_fields& from, proto::JobSpecification& job) {
  const json* given = from.find("format");
  if (!given || *given == "") return;
  if (given->is_object())
    constrain(*given, job);
  else if (*given == "json")
    job.mutable_sampling()->mutable_constraint()->set_json_object(true);
  else
    from.wrong("format", "is " + kind_of(*given) + "; allowed: \"json\" or a JSON schema");
}

// "tiny:latest" is how Ollama's tools call a model without a tag.
std::string without_latest(std::string model) {
  if (model.size() > 7 && model.ends_with(":latest")) model.resize(model.size() - 7);
  return model;
}

void read_shared(json_fields& from, const request_limits& limits, asked_work& work,
                 proto::JobSpecification& job) {
  work.plan.model = without_latest(std::move(work.plan.model));
  job.set_model(work.plan.model);
  work.plan.streams = from.flag("stream", true);
  read_options(from, limits, job);
  read_format(from, job);
  read_keep_alive(from);
  from.only("think", false);
  from.refuse_unknown();
}

}  // namespace

work_or_error read_ollama_generate(std::string_view body, const request_limits& limits) {
  return read_work(body, reply_kind::ollama_generate, [&](json_fields& from, asked_work& work) {
    proto::JobSpecification& job = *work.jobs.emplace_back().mutable_job();
    const std::string prompt = from.text("prompt", text_bytes_max).value_or("");
    const auto system = from.text("system", text_bytes_max);
    if (from.fine() && prompt.empty()) from.wrong("prompt", "is missing or empty");
    if (from.flag("raw", false)) {
      if (system && !system->empty()) from.wrong("system", "has no place in a raw prompt");
      job.set_text(prompt);
    } else {
      json messages = json::array();
      if (system && !system->empty())
        messages.push_back({{"role", "system"}, {"content", *system}});
      messages.push_back({{"role", "user"}, {"content", prompt}});
      job.mutable_chat()->set_messages_json(messages.dump());
    }
    from.only("images", json::array());
    from.only("suffix", "");
    from.only("template", "");
    from.only("context", json::array());
    read_shared(from, limits, work, job);
  });
}

work_or_error read_ollama_chat(std::string_view body, const request_limits& limits) {
  return read_work(body, reply_kind::ollama_chat, [&](json_fields& from, asked_work& work) {
    proto::JobSpecification& job = *work.jobs.emplace_back().mutable_job();
    if (from.fine()) read_messages(from, limits, *job.mutable_chat());
    from.only("tools", json::array());
    read_shared(from, limits, work, job);
  });
}

}  // namespace troupe::http
