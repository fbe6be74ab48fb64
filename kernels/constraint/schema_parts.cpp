#include "kernels/constraint/schema_parts.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::kernels::constraint {
namespace {

using form = json_value::form;

// What is taken, and the form its value has. `any`: the reader of the keyword looks itself.
struct keyword_row {
  std::string_view name;
  form kind;
  bool any = false;
};
constexpr keyword_row keywords[] = {
    {"type", form::text, true},
    {"enum", form::array},
    {"const", form::null, true},
    {"properties", form::object},
    {"required", form::array},
    {"additionalProperties", form::null, true},
    {"items", form::null, true},
    {"prefixItems", form::array},
    {"minItems", form::number},
    {"maxItems", form::number},
    {"minLength", form::number},
    {"maxLength", form::number},
    {"pattern", form::text},
    {"format", form::text},
    {"minimum", form::number},
    {"maximum", form::number},
    {"exclusiveMinimum", form::number},
    {"exclusiveMaximum", form::number},
    {"multipleOf", form::number},
    {"anyOf", form::array},
    {"oneOf", form::array},
    {"allOf", form::array},
    {"$ref", form::text},
    {"$defs", form::object},
    {"definitions", form::object},
};
// They say nothing of which values are right.
constexpr std::string_view annotations[] = {
    "title", "description", "default",  "examples", "example",   "$schema",
    "$id",   "id",          "$comment", "readOnly", "writeOnly", "deprecated",
};

bool is_annotation(std::string_view name) {
  return name.starts_with("x-") ||
         std::find(std::begin(annotations), std::end(annotations), name) != std::end(annotations);
}

std::string_view name_of(form kind) {
  constexpr std::string_view names[] = {"null",   "a boolean", "a number",
                                        "a text", "an array",  "an object"};
  return names[static_cast<std::size_t>(kind)];
}

std::string unescaped(std::string_view pointer) {
  std::string out;
  for (std::size_t i = 0; i < pointer.size(); ++i) {
    unsigned code = 0;
    if (pointer[i] == '%' && i + 2 < pointer.size() &&
        std::from_chars(&pointer[i + 1], &pointer[i + 1] + 2, code, 16).ptr ==
            &pointer[i + 1] + 2) {
      out += static_cast<char>(code);
      i += 2;
    } else {
      out += pointer[i];
    }
  }
  return out;
}

std::string pointer_name(std::string_view step) {
  std::string out;
  for (std::size_t i = 0; i < step.size(); ++i) {
    const bool escaped =
        step[i] == '~' && i + 1 < step.size() && (step[i + 1] == '0' || step[i + 1] == '1');
    out += !escaped ? step[i] : step[++i] == '0' ? '~' : '/';
  }
  return out;
}

const json_value* child_of(const json_value& at, const std::string& name) {
  if (at.kind == form::object) return at.find(name);
  if (at.kind != form::array) return nullptr;
  std::size_t index = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool whole = read.ec == std::errc() && read.ptr == name.data() + name.size();
  return whole && index < at.items.size() ? &at.items[index] : nullptr;
}

}  // namespace

error schema_error(std::string_view path, std::string_view problem, std::string_view mend) {
  return {error_code::invalid_argument, std::string(path) + ": " + std::string(problem),
          std::string(mend)};
}

std::string path_below(std::string_view path, std::string_view name) {
  std::string out(path);
  out += '/';
  for (const char c : name) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

status part_reader::check_keywords(const schema_part& part) {
  if (!checked_.insert(part.schema).second) return {};
  if (part.schema->kind == form::boolean) return {};
  if (part.schema->kind != form::object)
    return schema_error(part.path, "is " + std::string(name_of(part.schema->kind)),
                        "a schema is an object, true or false");
  for (const auto& member : part.schema->members) {
    const std::string& name = member.first;
    const json_value& value = member.second;
    if (is_annotation(name) ||
        (name == "uniqueItems" && value.kind == form::boolean && !value.truth))
      continue;
    const auto row = std::find_if(std::begin(keywords), std::end(keywords),
                                  [&](const keyword_row& k) { return k.name == name; });
    if (row == std::end(keywords))
      return schema_error(part.path, "the keyword " + write_json_text(name) + " is not taken",
                          "leave it out, or say it with the keywords that the README of "
                          "kernels/constraint lists");
    if (!row->any && row->kind != value.kind)
      return schema_error(part.path, name + " is " + std::string(name_of(value.kind)),
                          "it has to be " + std::string(name_of(row->kind)));
  }
  return {};
}

result<const json_value*> part_reader::resolve(const schema_part& part,
                                               std::string_view reference) const {
  const std::string pointer = unescaped(reference);
  if (!pointer.starts_with('#') || (pointer.size() > 1 && pointer[1] != '/'))
    return schema_error(part.path, "$ref is " + write_json_text(reference),
                        "only places in this schema are taken, such as #/$defs/name");
  const json_value* at = &root_;
  for (std::size_t begin = 2; begin <= pointer.size() && at;) {
    const std::size_t end = std::min(pointer.find('/', begin), pointer.size());
    at = child_of(*at, pointer_name(std::string_view(pointer).substr(begin, end - begin)));
    begin = end + 1;
  }
  if (!at)
    return schema_error(part.path,
                        "$ref names " + write_json_text(reference) + ", which is not there",
                        "name a place in this schema");
  return at;
}

bool part_reader::only_names(const json_value& schema) {
  if (schema.kind == form::boolean) return schema.truth;
  return std::all_of(schema.members.begin(), schema.members.end(), [](const auto& member) {
    constexpr std::string_view names[] = {"$ref", "allOf", "$defs", "definitions"};
    return is_annotation(member.first) ||
           std::find(std::begin(names), std::end(names), member.first) != std::end(names);
  });
}

status part_reader::add(schema_parts& parts, std::size_t by, const json_value& schema,
                        std::string path) {
  for (auto i = static_cast<std::int32_t>(by); i >= 0;
       i = parts[static_cast<std::size_t>(i)].named_by)
    if (parts[static_cast<std::size_t>(i)].schema == &schema)
      return schema_error(path, "the schema is defined by itself",
                          "let a reference to itself stand inside properties or items");
  const bool known = std::any_of(parts.begin(), parts.end(),
                                 [&](const schema_part& p) { return p.schema == &schema; });
  if (known) return {};
  if (parts.size() == parts_max)
    return schema_error(path, "more than " + std::to_string(parts_max) + " schemas hold at once",
                        "use fewer references, allOf and anyOf inside one another");
  parts.push_back({&schema, std::move(path), static_cast<std::int32_t>(by)});
  return {};
}

status part_reader::expand(schema_parts& parts, std::size_t first) {
  for (std::size_t i = first; i < parts.size(); ++i) {
    if (status checked = check_keywords(parts[i]); !checked) return checked;
    const json_value& schema = *parts[i].schema;
    const std::string path = parts[i].path;
    if (const json_value* reference = schema.find("$ref")) {
      const result<const json_value*> target = resolve(parts[i], reference->text);
      if (!target) return target.failure();
      if (status added = add(parts, i, **target, unescaped(reference->text)); !added) return added;
    }
    const json_value* all = schema.find("allOf");
    for (std::size_t n = 0; all && n < all->items.size(); ++n) {
      status added = add(parts, i, all->items[n], path + "/allOf/" + std::to_string(n));
      if (!added) return added;
    }
  }
  return {};
}

}  // namespace troupe::kernels::constraint
