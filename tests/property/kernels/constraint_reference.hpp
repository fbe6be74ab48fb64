// JSON Schema, slow and obvious: whether a document satisfies a schema. Shares nothing with
// kernels/constraint but the meaning of the keywords. Knows the keywords that the room takes.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

namespace constraint_reference {

using json = nlohmann::ordered_json;

inline std::size_t characters(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

inline bool has_type(const json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "string") return value.is_string();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  if (type == "number") return value.is_number();
  return value.is_number() && value.get<double>() == std::floor(value.get<double>());
}

inline bool is_date(const std::string& t) {
  if (!std::regex_match(t, std::regex("\\d{4}-\\d\\d-\\d\\d"))) return false;
  const int year = std::stoi(t.substr(0, 4)), month = std::stoi(t.substr(5, 2));
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  const int days[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int day = std::stoi(t.substr(8, 2));
  return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

inline bool is_time(const std::string& t) {
  if (!std::regex_match(t, std::regex("\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)")))
    return false;
  return std::stoi(t.substr(0, 2)) < 24 && std::stoi(t.substr(3, 2)) < 60 &&
         std::stoi(t.substr(6, 2)) < 60 &&
         (t.back() == 'Z' || std::stoi(t.substr(t.size() - 5, 2)) < 24);
}

inline bool has_format(const std::string& t, const std::string& format) {
  if (format == "date") return is_date(t);
  if (format == "time") return is_time(t);
  if (format == "date-time")
    return t.size() > 11 && t[10] == 'T' && is_date(t.substr(0, 10)) && is_time(t.substr(11));
  if (format == "uuid")
    return t.size() == 36 &&
           std::regex_match(t, std::regex("[0-9a-fA-F]+(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"));
  if (format == "ipv4") {
    std::smatch parts;
    if (!std::regex_match(t, parts, std::regex("(\\d+)\\.(\\d+)\\.(\\d+)\\.(\\d+)"))) return false;
    for (int i = 1; i <= 4; ++i)
      if (parts[i].length() > 3 || std::stoi(parts[i]) > 255) return false;
    return true;
  }
  return std::regex_match(t, std::regex("[^@ ]+@[^@ ]+\\.[^@ ]+"));
}

class validator {
 public:
  // closed: members that `properties` does not name are allowed only where additionalProperties
  // says so. JSON Schema allows them; what is written has none (kernels/constraint/README.md).
  explicit validator(json root, bool closed = false) : root_(std::move(root)), closed_(closed) {}

  bool satisfies(const json& value) const { return satisfies(root_, value); }
  bool satisfies(const json& schema, const json& value) const {
    if (schema.is_boolean()) return schema.get<bool>();
    return types(schema, value) && choices(schema, value) && numbers(schema, value) &&
           texts(schema, value) && arrays(schema, value) && objects(schema, value) &&
           combined(schema, value);
  }
  const json& target(const std::string& reference) const {
    return root_.at(json::json_pointer(reference.substr(1)));
  }

 private:
  // nlohmann compares ordered objects by order; JSON Schema does not.
  static bool same(const json& a, const json& b) {
    return nlohmann::json::parse(a.dump()) == nlohmann::json::parse(b.dump());
  }
  static bool types(const json& schema, const json& value) {
    if (!schema.contains("type")) return true;
    const json& type = schema["type"];
    if (type.is_string()) return has_type(value, type);
    for (const json& one : type)
      if (has_type(value, one)) return true;
    return false;
  }
  static bool choices(const json& schema, const json& value) {
    if (schema.contains("const") && !same(schema["const"], value)) return false;
    if (!schema.contains("enum")) return true;
    for (const json& one : schema["enum"])
      if (same(one, value)) return true;
    return false;
  }
  static bool numbers(const json& schema, const json& value) {
    if (!value.is_number()) return true;
    const double number = value.get<double>();
    if (schema.contains("minimum") && !(number >= schema["minimum"].get<double>())) return false;
    if (schema.contains("maximum") && !(number <= schema["maximum"].get<double>())) return false;
    if (schema.contains("exclusiveMinimum") && !(number > schema["exclusiveMinimum"].get<double>()))
      return false;
    if (schema.contains("exclusiveMaximum") && !(number < schema["exclusiveMaximum"].get<double>()))
      return false;
    if (!schema.contains("multipleOf")) return true;
    return value.is_number_integer() &&
           value.get<std::int64_t>() % schema["multipleOf"].get<std::int64_t>() == 0;
  }
  static bool texts(const json& schema, const json& value) {
    if (!value.is_string()) return true;
    const std::string text = value;
    if (schema.contains("minLength") && characters(text) < schema["minLength"]) return false;
    if (schema.contains("maxLength") && characters(text) > schema["maxLength"]) return false;
    if (schema.contains("format") && !has_format(text, schema["format"])) return false;
    return !schema.contains("pattern") ||
           std::regex_search(text, std::regex(schema["pattern"].get<std::string>()));
  }
  bool arrays(const json& schema, const json& value) const {
    if (!value.is_array()) return true;
    if (schema.contains("minItems") && value.size() < schema["minItems"]) return false;
    if (schema.contains("maxItems") && value.size() > schema["maxItems"]) return false;
    const std::size_t firsts = schema.contains("prefixItems") ? schema["prefixItems"].size() : 0;
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i < firsts ? !satisfies(schema["prefixItems"][i], value[i])
                     : schema.contains("items") && !satisfies(schema["items"], value[i]))
        return false;
    }
    return true;
  }
  bool objects(const json& schema, const json& value) const {
    if (!value.is_object()) return true;
    if (schema.contains("required"))
      for (const json& name : schema["required"])
        if (!value.contains(name.get<std::string>())) return false;
    for (const auto& [name, member] : value.items()) {
      const bool named = schema.contains("properties") && schema["properties"].contains(name);
      if (named && !satisfies(schema["properties"][name], member)) return false;
      if (!named && schema.contains("additionalProperties") &&
          !satisfies(schema["additionalProperties"], member))
        return false;
      if (closed_ && !named && schema.contains("properties") &&
          !schema.contains("additionalProperties"))
        return false;
    }
    return true;
  }
  bool combined(const json& schema, const json& value) const {
    const auto right = [&](const char* keyword) {
      std::size_t count = 0;
      for (const json& one : schema[keyword]) count += satisfies(one, value) ? 1 : 0;
      return count;
    };
    if (schema.contains("allOf") && right("allOf") != schema["allOf"].size()) return false;
    if (schema.contains("anyOf") && right("anyOf") == 0) return false;
    if (schema.contains("oneOf") && right("oneOf") != 1) return false;
    return !schema.contains("$ref") || satisfies(target(schema["$ref"].get<std::string>()), value);
  }

  json root_;
  bool closed_;
};

}  // namespace constraint_reference
