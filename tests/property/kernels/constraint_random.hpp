// Random schemas, and random documents that fit them, from one number.
#pragma once

#include <algorithm>
#include <optional>
#include <random>

#include "tests/property/kernels/constraint_reference.hpp"

namespace constraint_reference {

class random_source {
 public:
  explicit random_source(std::uint64_t seed) : engine_(seed) {}
  int below(int count) { return static_cast<int>(engine_() % static_cast<unsigned>(count)); }
  bool once_in(int count) { return below(count) == 0; }
  template <class T>
  const T& one_of(const std::vector<T>& list) {
    return list[static_cast<std::size_t>(below(static_cast<int>(list.size())))];
  }

 private:
  std::mt19937_64 engine_;
};

class schema_maker {
 public:
  explicit schema_maker(random_source& random) : random_(random) {}

  json whole() {
    json schema = any(3);
    if (random_.once_in(3)) {
      json node = {{"type", "object"},
                   {"properties",
                    {{"next", {{"anyOf", {{{"$ref", "#/$defs/node"}}, {{"type", "null"}}}}}},
                     {"v", any(1)}}},
                   {"required", {"next"}},
                   {"additionalProperties", false}};
      schema = {{"type", "object"},
                {"properties", {{"list", {{"$ref", "#/$defs/node"}}}, {"other", schema}}},
                {"required", {"list"}},
                {"additionalProperties", false},
                {"$defs", {{"node", node}}}};
    }
    return schema;
  }

 private:
  json any(int depth) {
    switch (random_.below(depth > 0 ? 11 : 6)) {
      case 0:
        return {{"type", random_.one_of<std::string>({"null", "boolean"})}};
      case 1:
        return whole_number();
      case 2:
        return number();
      case 3:
        return choice();
      case 4:
        return text();
      case 5:
        return patterned();
      case 6:
        return array(depth);
      case 7:
        return json{{"anyOf", {any(depth - 1), any(depth - 1), any(depth - 1)}}};
      case 8:
        return tagged(depth);
      default:
        return object(depth);
    }
  }
  json whole_number() {
    json schema = {{"type", "integer"}};
    const int low = random_.below(300) - 150;
    if (random_.once_in(2)) schema[random_.once_in(2) ? "minimum" : "exclusiveMinimum"] = low;
    if (random_.once_in(2))
      schema[random_.once_in(2) ? "maximum" : "exclusiveMaximum"] = low + 3 + random_.below(1000);
    if (random_.once_in(4)) schema["multipleOf"] = 1 + random_.below(3);
    return schema;
  }
  json number() {
    json schema = {{"type", "number"}};
    const double low = (random_.below(4000) - 2000) / 16.0;
    if (random_.once_in(2)) schema[random_.once_in(2) ? "minimum" : "exclusiveMinimum"] = low;
    if (random_.once_in(2))
      schema[random_.once_in(2) ? "maximum" : "exclusiveMaximum"] =
          low + random_.below(500) / 8.0 + 0.5;
    return schema;
  }
  json choice() {
    const std::vector<json> values = {
        "a", "ab", "b\"\n", "é", 1, 2.5, nullptr, true, json::array({1, "x"}), json{{"k", 1}}};
    if (random_.once_in(3)) return {{"const", random_.one_of(values)}};
    json list = json::array();
    for (int i = 1 + random_.below(4); i > 0; --i) list.push_back(random_.one_of(values));
    return {{"enum", list}};
  }
  json text() {
    json schema = {{"type", "string"}};
    const int least = random_.below(4);
    if (random_.once_in(2)) schema["minLength"] = least;
    if (random_.once_in(2)) schema["maxLength"] = least + random_.below(6);
    return schema;
  }
  json patterned() {
    json schema = {{"type", "string"}};
    if (random_.once_in(3)) {
      schema["format"] =
          random_.one_of<std::string>({"date", "time", "date-time", "uuid", "ipv4", "email"});
      return schema;
    }
    schema["pattern"] = random_.one_of<std::string>(
        {"^[a-c]+$", "^(x|yz){2,3}$", "b", "^\\d{3}-\\w*", "[^a-z]$", "^a?b*(c|d)+\\.$"});
    if (random_.once_in(3)) schema["maxLength"] = 4 + random_.below(6);
    return schema;
  }
  json array(int depth) {
    json schema = {{"type", "array"}};
    if (random_.once_in(3)) schema["prefixItems"] = {any(depth - 1), any(depth - 1)};
    if (!random_.once_in(5)) schema["items"] = any(depth - 1);
    const int least = random_.below(3);
    if (random_.once_in(2)) schema["minItems"] = least;
    if (random_.once_in(2)) schema["maxItems"] = least + random_.below(3);
    return schema;
  }
  json object(int depth) {
    json schema = {{"type", "object"}, {"properties", json::object()}, {"required", json::array()}};
    for (const char* name : {"a", "ab", "é\"", "name"})
      if (!random_.once_in(3)) {
        schema["properties"][name] = any(depth - 1);
        if (random_.once_in(2)) schema["required"].push_back(name);
      }
    if (random_.once_in(2))
      schema["additionalProperties"] = false;
    else if (random_.once_in(2))
      schema["additionalProperties"] = any(depth - 1);
    if (random_.once_in(4))
      schema["allOf"] = {
          {{"properties", {{"name", {{"type", {"string", "integer"}}}}}}, {"required", {"name"}}}};
    return schema;
  }
  // Alternatives that only a member tells apart, sometimes the last one.
  json tagged(int depth) {
    json list = json::array();
    for (const int tag : {1, 2, 3}) {
      json members = {{"v", any(depth - 1)}};
      if (random_.once_in(2)) members = json{{"tag", {{"const", tag}}}, {"v", any(depth - 1)}};
      members["tag"] = {{"const", tag}};
      list.push_back({{"type", "object"}, {"properties", members}, {"required", {"tag"}}});
    }
    return {{random_.once_in(2) ? "anyOf" : "oneOf", list}};
  }

  random_source& random_;
};

// Documents in the order and form that the room writes. Nothing, where a try did not come out.
class document_maker {
 public:
  document_maker(random_source& random, const validator& rules) : random_(random), rules_(rules) {}

  std::optional<json> fit(const json& schema, int depth) {
    if (depth < 0 || schema.is_boolean()) return std::nullopt;
    if (schema.contains("$ref")) return fit(rules_.target(schema["$ref"]), depth - 1);
    for (const char* keyword : {"anyOf", "oneOf"})
      if (schema.contains(keyword))
        return fit(schema[keyword][static_cast<std::size_t>(
                       random_.below(static_cast<int>(schema[keyword].size())))],
                   depth - 1);
    if (schema.contains("const")) return schema["const"];
    if (schema.contains("enum"))
      return schema["enum"][static_cast<std::size_t>(
          random_.below(static_cast<int>(schema["enum"].size())))];
    const std::string type = schema.at("type");
    if (type == "null") return json();
    if (type == "boolean") return json(random_.once_in(2));
    if (type == "integer") return json(random_.below(1400) - 300);
    if (type == "number") return json((random_.below(6000) - 3000) / 16.0);
    if (type == "string") return text(schema);
    return type == "array" ? array(schema, depth) : object(schema, depth);
  }

  // With blanks and escapes here and there, as the room lets them be.
  std::string write(const json& value) {
    if (value.is_string()) return value.dump();
    if (value.is_number_float() && has_type(value, "integer"))  // integers have no point
      return std::to_string(static_cast<int>(value.get<double>()));
    if (!value.is_structured() || value.empty()) return value.dump();
    const bool object = value.is_object();
    std::string out = (object ? "{" : "[") + blanks();
    for (auto at = value.begin(); at != value.end(); ++at) {
      if (at != value.begin()) out += "," + blanks();
      if (object) out += json(at.key()).dump() + (random_.once_in(2) ? ": " : ":");
      out += write(*at);
    }
    return out + blanks() + (object ? "}" : "]");
  }

 private:
  std::string blanks() {
    switch (random_.below(4)) {
      case 0:
        return " ";
      case 1:
        return "\n" + std::string(static_cast<std::size_t>(random_.below(21)), ' ');
      default:
        return "";
    }
  }
  json text(const json& schema) {
    if (schema.contains("pattern") || schema.contains("format")) {
      const std::vector<std::string> samples = {"a",
                                                "abc",
                                                "xyz",
                                                "yzxx",
                                                "xx",
                                                "b",
                                                "zb!",
                                                "123-",
                                                "123-a_9",
                                                "A",
                                                "bc.",
                                                "abd.",
                                                "\n",
                                                "2024-02-29",
                                                "12:00:00Z",
                                                "2023-01-31T01:02:03.5-07:00",
                                                "10.0.0.1",
                                                "me@example.org",
                                                "00000000-0000-0000-0000-00000000abcd"};
      return random_.one_of(samples);
    }
    std::string out;
    for (int i = random_.below(10); i > 0; --i)
      out += random_.one_of<std::string>({"a", "Z", " ", "\"", "\\", "\n", "é", "漢", "🙂", "/"});
    return out;
  }
  std::optional<json> array(const json& schema, int depth) {
    json out = json::array();
    const std::size_t size = static_cast<std::size_t>(random_.below(5));
    for (std::size_t i = 0; i < size; ++i) {
      const bool first = schema.contains("prefixItems") && i < schema["prefixItems"].size();
      if (!first && !schema.contains("items")) {
        out.push_back(1);
        continue;
      }
      const auto item = fit(first ? schema["prefixItems"][i] : schema["items"], depth - 1);
      if (!item) return std::nullopt;
      out.push_back(*item);
    }
    return out;
  }
  std::optional<json> object(const json& schema, int depth) {
    json out = json::object();
    const json required = schema.value("required", json::array());
    const json properties = schema.value("properties", json::object());
    for (const auto& [name, member] : properties.items()) {
      const bool needed = std::find(required.begin(), required.end(), name) != required.end();
      if (!needed && random_.once_in(2)) continue;
      auto value = fit(member, depth - 1);
      if (!value && needed) return std::nullopt;
      if (value) out[name] = *value;
    }
    const bool more =
        schema.contains("additionalProperties") && schema["additionalProperties"].is_object();
    if (more && random_.once_in(2))
      if (const auto value = fit(schema["additionalProperties"], depth - 1)) out["zé\n"] = *value;
    return out;
  }

  random_source& random_;
  const validator& rules_;
};

}  // namespace constraint_reference
