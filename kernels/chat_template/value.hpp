// The values a template computes with, in Python's sense: a template sees what Jinja2 would show
// it.
//
// A value is small and copied freely; what it points to belongs to the rendering (rendering.hpp)
// that made it and lives as long as that. Lists and dicts never change once they are made; a
// namespace does. Text is valid UTF-8.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace troupe::kernels::chat {

struct undefined_value {
  std::string_view name;   // what was looked for; with no owner, a variable
  std::string_view owner;  // "dict object"; or, with an empty name, the whole reason
};
struct none_value {};
struct sequence;
struct mapping;
struct name_space;
struct callable;
struct loop_state;

using value =
    std::variant<undefined_value, none_value, bool, std::int64_t, double, std::string_view,
                 sequence*, mapping*, name_space*, callable*, loop_state*>;

// An iterator (what map, select and reverse give) is passed through once and is always true.
enum class sequence_kind { list, tuple, range, view, iterator };

struct sequence {
  sequence_kind kind = sequence_kind::list;
  std::vector<value> items;
  std::size_t taken = 0;   // iterators: how many items are gone
  std::string_view label;  // views and ranges: how Python prints them, "dict_items"
};

struct mapping {
  std::vector<std::pair<value, value>> entries;  // in the order of insertion
};

struct name_space {
  mapping names;
};

// The variables of a loop's turn, a macro's call, a block; inner ones hide outer ones.
struct scope {
  scope* outer = nullptr;
  std::vector<std::pair<std::string_view, value>> names;

  void assign(std::string_view name, const value& v) {
    for (auto& [known, held] : names)
      if (known == name) {
        held = v;
        return;
      }
    names.emplace_back(name, v);
  }
};

struct loop_state {
  const value* items = nullptr;
  std::size_t length = 0;
  std::size_t index = 0;
  std::size_t depth = 1;
  std::vector<value> last_seen;  // of changed()
  bool has_seen = false;
};

struct call_arguments {
  std::vector<value> positional;
  std::vector<std::pair<std::string_view, value>> named;
};

class rendering;
struct macro_definition;

// A filter, a method or a global function: `self` is what stands before it.
using builtin = value (*)(rendering& run, const value& self, const call_arguments& given);

struct callable {
  std::string_view name;
  builtin run = nullptr;
  value self;
  const macro_definition* macro = nullptr;  // or a macro, with the scope it was written in
  scope* home = nullptr;
};

inline bool is_undefined(const value& v) {
  return std::holds_alternative<undefined_value>(v);
}
inline bool is_none(const value& v) {
  return std::holds_alternative<none_value>(v);
}
inline bool is_text(const value& v) {
  return std::holds_alternative<std::string_view>(v);
}
// A pointer to the list, tuple, range, view or iterator, or null.
inline sequence* as_sequence(const value& v) {
  sequence* const* held = std::get_if<sequence*>(&v);
  return held ? *held : nullptr;
}
inline mapping* as_mapping(const value& v) {
  mapping* const* held = std::get_if<mapping*>(&v);
  return held ? *held : nullptr;
}

}  // namespace troupe::kernels::chat
