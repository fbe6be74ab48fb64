#include "cluster/http/json_fields.hpp"

#include <cmath>
#include <cstdio>

namespace troupe::http {
namespace {

using json = nlohmann::ordered_json;

std::string shown(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

// Brackets and commas outside of texts, counted before anything is built from them.
std::optional<api_error> too_much(std::string_view body, const json_bounds& bounds) {
  std::size_t depth = 0, values = 1;
  bool in_text = false;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char c = body[i];
    if (in_text) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_text = false;
      continue;
    }
    if (c == '"') in_text = true;
    if (c == '[' || c == '{') {
      ++values;
      if (++depth > bounds.depth_max)
        return api_error_of(error_code::invalid_argument,
                            "the body is nested deeper than " + std::to_string(bounds.depth_max) +
                                " levels at byte " + std::to_string(i));
    }
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (c == ',' && ++values > bounds.values_max)
      return api_error_of(
          error_code::invalid_argument,
          "the body has more than " + std::to_string(bounds.values_max) + " values");
  }
  return std::nullopt;
}

}  // namespace

std::string kind_of(const json& value) {
  switch (value.type()) {
    case json::value_t::string:
      return "a text";
    case json::value_t::array:
      return "a list";
    case json::value_t::object:
      return "an object";
    case json::value_t::boolean:
      return value.get<bool>() ? "true" : "false";
    case json::value_t::null:
      return "null";
    case json::value_t::number_float:
      return shown(value.get<double>());
    default:
      return value.dump();
  }
}

std::variant<json, api_error> parse_object(std::string_view body, const json_bounds& bounds) {
  if (auto fault = too_much(body, bounds)) return *std::move(fault);
  std::vector<std::set<std::string>> seen;
  // nlohmann keeps the last of equal names; which one a sender meant cannot be known.
  const json::parser_callback_t watch = [&](int, json::parse_event_t event, json& part) {
    if (event == json::parse_event_t::object_start) seen.emplace_back();
    if (event == json::parse_event_t::object_end) seen.pop_back();
    if (event != json::parse_event_t::key) return true;
    const auto& name = part.get_ref<const std::string&>();
    if (!seen.back().insert(name).second) throw wrong_field(name.substr(0, 64), "stands twice");
    if (seen.back().size() > bounds.names_max)
      throw api_error_of(
          error_code::invalid_argument,
          "an object in the body has more than " + std::to_string(bounds.names_max) + " names");
    return true;
  };
  try {
    json parsed = json::parse(body, watch);
    if (!parsed.is_object())
      return api_error_of(error_code::invalid_argument, "the body is " + kind_of(parsed),
                          "send a JSON object");
    return parsed;
  } catch (const api_error& fault) {
    return fault;
  } catch (const json::parse_error& fault) {
    return api_error_of(
        error_code::invalid_argument,
        "the body is not JSON in UTF-8: the fault is near byte " + std::to_string(fault.byte));
  } catch (const json::exception&) {
    return api_error_of(error_code::invalid_argument, "a number in the body is out of range");
  }
}

json_fields::json_fields(const json& object, std::string path)
    : object_(object), path_(std::move(path)) {
  if (!object_.is_object()) wrong({}, "is " + kind_of(object_) + "; allowed: an object");
}

std::string json_fields::path_of(const std::string& name) const {
  if (path_.empty()) return name;
  return name.empty() ? path_ : path_ + "." + name;
}

void json_fields::wrong(const std::string& name, const std::string& message) {
  if (!fault_) fault_ = wrong_field(path_of(name), message);
}

void json_fields::take_fault(const json_fields& inner) {
  if (!fault_) fault_ = inner.fault_;
}

const json* json_fields::find(const char* name) {
  if (!object_.is_object()) return nullptr;
  known_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> json_fields::text(const char* name, std::size_t bytes_max) {
  const json* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_string()) {
    wrong(name, "is " + kind_of(*value) + "; allowed: a text");
    return std::nullopt;
  }
  const auto& out = value->get_ref<const std::string&>();
  if (out.size() > bytes_max) {
    wrong(name, "has " + std::to_string(out.size()) + " bytes; allowed: at most " +
                    std::to_string(bytes_max));
    return std::nullopt;
  }
  return out;
}

std::optional<std::int64_t> json_fields::integer(const char* name, std::int64_t minimum,
                                                 std::int64_t maximum) {
  const json* value = find(name);
  if (!value) return std::nullopt;
  const bool huge =
      value->is_number_unsigned() && value->get<std::uint64_t>() > std::uint64_t{INT64_MAX};
  if (!value->is_number_integer() || huge || value->get<std::int64_t>() < minimum ||
      value->get<std::int64_t>() > maximum) {
    wrong(name, "is " + kind_of(*value) + "; allowed: a whole number from " +
                    std::to_string(minimum) + " to " + std::to_string(maximum));
    return std::nullopt;
  }
  return value->get<std::int64_t>();
}

std::optional<double> json_fields::number(const char* name, double minimum, double maximum,
                                          bool above) {
  const json* value = find(name);
  if (!value) return std::nullopt;
  const double found = value->is_number() ? value->get<double>() : NAN;
  const bool high_enough = above ? found > minimum : found >= minimum;
  if (!high_enough || !(found <= maximum)) {
    wrong(name, "is " + kind_of(*value) + "; allowed: a number " + (above ? "above " : "from ") +
                    shown(minimum) + " to " + shown(maximum));
    return std::nullopt;
  }
  return found;
}

bool json_fields::flag(const char* name, bool fallback) {
  const json* value = find(name);
  if (!value) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  wrong(name, "is " + kind_of(*value) + "; allowed: true or false");
  return fallback;
}

void json_fields::only(const char* name, const json& neutral) {
  const json* value = find(name);
  if (value && *value != neutral)
    wrong(name, "is not supported; leave it out, or give " + neutral.dump());
}

void json_fields::refuse_unknown() {
  if (fault_ || !object_.is_object()) return;
  for (const auto& [name, value] : object_.items())
    if (!known_.contains(name) && !value.is_null())
      return wrong(name.size() <= 64 ? name : name.substr(0, 64) + "...",
                   "is not supported here; leave it out");
}

}  // namespace troupe::http
