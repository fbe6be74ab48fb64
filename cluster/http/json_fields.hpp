// Reads a JSON body from a stranger: bounded before it is parsed, every field checked by name, none
// ignored.
//
// A field that is null counts as absent. The first fault is kept and names the field's path; after
// it the readers give fallbacks. Threading: none; pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cluster/http/api_error.hpp"

namespace troupe::http {

struct json_bounds {
  std::size_t depth_max = 32;
  std::size_t values_max = 400'000;
  std::size_t names_max = 1024;  // of one object: their order is kept, at a price for each
};

// An object, or why the bytes are none: not JSON, not UTF-8, nested too deep, too many values.
std::variant<nlohmann::ordered_json, api_error> parse_object(std::string_view body,
                                                             const json_bounds& bounds = {});

class json_fields {
 public:
  // `object` outlives the reader. `path` stands before each name in messages: "options".
  json_fields(const nlohmann::ordered_json& object, std::string path = {});

  // The field where it is there and not null.
  const nlohmann::ordered_json* find(const char* name);
  std::optional<std::string> text(const char* name, std::size_t bytes_max);
  std::optional<std::int64_t> integer(const char* name, std::int64_t minimum, std::int64_t maximum);
  // above: the minimum itself is refused.
  std::optional<double> number(const char* name, double minimum, double maximum,
                               bool above = false);
  bool flag(const char* name, bool fallback);
  // A field whose only accepted value means what absence means.
  void only(const char* name, const nlohmann::ordered_json& neutral);
  void wrong(const std::string& name, const std::string& message);
  // A fault found inside of a field.
  void take_fault(const json_fields& inner);

  std::string path_of(const std::string& name) const;
  // Call last: names the first field that no reader asked for.
  void refuse_unknown();
  bool fine() const { return !fault_; }
  const std::optional<api_error>& fault() const { return fault_; }

 private:
  const nlohmann::ordered_json& object_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
  std::optional<api_error> fault_;
};

// "a text", "a list": what a value is, for messages.
std::string kind_of(const nlohmann::ordered_json& value);

}  // namespace troupe::http
