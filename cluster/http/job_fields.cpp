#include "cluster/http/job_fields.hpp"

#include <algorithm>
#include <charconv>
#include <map>

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t stop_texts_max = 16;
constexpr std::size_t stop_bytes_max = 256;

std::string item(const char* name, std::size_t index) {
  return std::string(name) + "[" + std::to_string(index) + "]";
}

// A whole number of a token id's range.
bool is_token_id(const json& value) {
  return value.is_number_integer() && value >= 0 && value <= INT32_MAX;
}

bool read_ids(json_fields& from, const std::string& name, const json& list,
              proto::JobSpecification& job) {
  auto& ids = *job.mutable_token_ids()->mutable_ids();
  ids.Reserve(static_cast<int>(list.size()));
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!is_token_id(list[i])) {
      from.wrong(name + "[" + std::to_string(i) + "]",
                 "is " + kind_of(list[i]) + "; allowed: a token id");
      return false;
    }
    ids.Add(list[i].get<std::int32_t>());
  }
  return true;
}

void read_bias(json_fields& from, const request_limits& limits,
               proto::SamplingParameters& sampling) {
  const json* given = from.find("logit_bias");
  if (!given) return;
  if (!given->is_object() || given->size() > limits.biases_max)
    return from.wrong("logit_bias", "is " + kind_of(*given) + "; allowed: an object of at most " +
                                        std::to_string(limits.biases_max) +
                                        " token ids with numbers");
  std::map<std::int32_t, float> biases;
  for (const auto& [name, value] : given->items()) {
    std::int32_t id = -1;
    const char* end = name.data() + name.size();
    const auto read = std::from_chars(name.data(), end, id);
    if (read.ec != std::errc() || read.ptr != end || id < 0 || std::to_string(id) != name)
      return from.wrong("logit_bias", "has the name \"" + name.substr(0, 32) +
                                          "\"; allowed: a token id in digits");
    if (!value.is_number() || !(value >= -100) || !(value <= 100))
      return from.wrong("logit_bias." + name,
                        "is " + kind_of(value) + "; allowed: a number from -100 to 100");
    biases[id] = value.get<float>();
  }
  for (const auto& [id, bias] : biases) {
    if (bias == 0) continue;
    proto::LogitBias& row = *sampling.add_logit_bias();
    row.set_id(id);
    row.set_bias(bias);
  }
}

// The text of a message: itself, or the texts of its parts joined.
bool read_content(json_fields& message, std::string& out) {
  const json* content = message.find("content");
  if (!content) return message.wrong("content", "is missing; give a text"), false;
  if (content->is_string()) return out = content->get<std::string>(), true;
  if (!content->is_array())
    return message.wrong("content", "is " + kind_of(*content) + "; allowed: a text, or text parts"),
           false;
  for (std::size_t i = 0; i < content->size(); ++i) {
    json_fields part((*content)[i], message.path_of(item("content", i)));
    const auto type = part.text("type", 64);
    if (part.fine() && type.value_or("") != "text")
      part.wrong("type", "is \"" + type.value_or("") + "\"; only text parts are supported");
    const auto text = part.text("text", text_bytes_max);
    if (part.fine() && !text) part.wrong("text", "is missing");
    part.refuse_unknown();
    message.take_fault(part);
    if (!message.fine()) return false;
    out += *text;
  }
  return true;
}

std::string read_model(json_fields& from) {
  auto model = from.text("model", model_name_bytes_max);
  if (from.fine() && (!model || model->empty()))
    from.wrong("model", "is missing; GET /v1/models lists what there is");
  return model.value_or("");
}

}  // namespace

std::uint64_t choice_seed(std::uint64_t seed, std::uint32_t choice) {
  if (choice == 0) return seed;
  std::uint64_t x = seed + choice * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

work_or_error read_work(std::string_view body, reply_kind kind,
                        const std::function<void(json_fields&, asked_work&)>& read) {
  const auto parsed = parse_object(body);
  if (const auto* fault = std::get_if<api_error>(&parsed)) return *fault;
  json_fields from(std::get<json>(parsed));
  asked_work work;
  work.plan.kind = kind;
  work.plan.model = read_model(from);
  read(from, work);
  if (from.fault()) return *from.fault();
  return work;
}

void read_stop(json_fields& from, proto::JobSpecification& job) {
  const json* given = from.find("stop");
  if (!given) return;
  const json list = given->is_array() ? *given : json::array({*given});
  if (list.size() > stop_texts_max)
    return from.wrong("stop", "has " + std::to_string(list.size()) + " texts; allowed: at most " +
                                  std::to_string(stop_texts_max));
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string name = given->is_array() ? item("stop", i) : "stop";
    if (!list[i].is_string())
      return from.wrong(name, "is " + kind_of(list[i]) + "; allowed: a text");
    const auto& text = list[i].get_ref<const std::string&>();
    if (text.empty() || text.size() > stop_bytes_max)
      return from.wrong(name, "has " + std::to_string(text.size()) + " bytes; allowed: 1 to " +
                                  std::to_string(stop_bytes_max));
    job.add_stop(text);
  }
}

void read_sampling(json_fields& from, const request_limits& limits, proto::JobSpecification& job) {
  proto::SamplingParameters& sampling = *job.mutable_sampling();
  const auto number = [&](const char* name, double minimum, double maximum, double fallback,
                          bool above = false) {
    return static_cast<float>(from.number(name, minimum, maximum, above).value_or(fallback));
  };
  sampling.set_temperature(number("temperature", 0, 100, 1));
  sampling.set_top_p(number("top_p", 0, 1, 1, true));
  sampling.set_min_p(number("min_p", 0, 1, 0));
  sampling.set_repetition_penalty(number("repetition_penalty", 0, 10, 1, true));
  sampling.set_presence_penalty(number("presence_penalty", -10, 10, 0));
  sampling.set_frequency_penalty(number("frequency_penalty", -10, 10, 0));
  const std::int64_t top_k = from.integer("top_k", -1, INT32_MAX).value_or(0);
  sampling.set_top_k(static_cast<std::uint32_t>(std::max<std::int64_t>(top_k, 0)));
  if (auto seed = from.integer("seed", INT64_MIN, INT64_MAX))
    sampling.set_seed(static_cast<std::uint64_t>(*seed));
  read_bias(from, limits, sampling);
  read_stop(from, job);
  job.set_ignore_end(from.flag("ignore_eos", false));
}

void read_prompts(json_fields& from, const char* name, const request_limits& limits,
                  std::vector<proto::JobSpecification>& prompts) {
  const json* given = from.find(name);
  if (!given) {
    if (from.fine()) from.wrong(name, "is missing");
    return;
  }
  const auto add = [&](const std::string& where, const json& one) {
    proto::JobSpecification& job = prompts.emplace_back();
    if (one.is_string())
      job.set_text(one.get<std::string>());
    else if (one.is_array() && !one.empty())
      return read_ids(from, where, one, job);
    else
      return from.wrong(where, "is " + (one.is_array() ? "an empty list" : kind_of(one)) +
                                   "; allowed: a text, or a list of token ids"),
             false;
    return true;
  };
  const bool is_list = given->is_array() && !given->empty() && !(*given)[0].is_number();
  if (!is_list) return (void)add(name, *given);
  if (given->size() > limits.jobs_max)
    return from.wrong(name, "has " + std::to_string(given->size()) + " prompts; allowed: at most " +
                                std::to_string(limits.jobs_max));
  for (std::size_t i = 0; i < given->size(); ++i)
    if (!add(item(name, i), (*given)[i])) return;
}

void read_messages(json_fields& from, const request_limits& limits, proto::ChatPrompt& chat) {
  const json* given = from.find("messages");
  if (!given || !given->is_array() || given->empty() || given->size() > limits.messages_max)
    return from.wrong("messages",
                      (!given ? "is missing" : "is " + kind_of(*given)) + "; give a list of 1 to " +
                          std::to_string(limits.messages_max) + " objects with role and content");
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < given->size(); ++i) {
    json_fields message((*given)[i], from.path_of(item("messages", i)));
    const auto role = message.text("role", 32);
    static constexpr std::string_view roles[] = {"system", "developer", "user", "assistant"};
    if (message.fine() &&
        std::find(std::begin(roles), std::end(roles), role.value_or("")) == std::end(roles))
      message.wrong("role", (role ? "is \"" + *role + "\"" : "is missing") +
                                "; supported: system, developer, user, assistant");
    std::string content;
    if (message.fine()) read_content(message, content);
    const auto name = message.text("name", 256);
    message.refuse_unknown();
    from.take_fault(message);
    if (!from.fine()) return;
    nlohmann::ordered_json one = {{"role", *role}, {"content", std::move(content)}};
    if (name) one["name"] = *name;
    messages.push_back(std::move(one));
  }
  chat.set_messages_json(messages.dump());
}

void constrain(const json& schema, proto::JobSpecification& job) {
  job.mutable_sampling()->mutable_constraint()->set_json_schema(schema.dump());
}

}  // namespace troupe::http
