#include "kernels/chat_template/attribute_path.hpp"

#include <charconv>

#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/value_rules.hpp"

namespace troupe::kernels::chat {

namespace {

// A step of digits is an index.
value step_of(std::string_view text) {
  std::int64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  if (digits && read.ec == std::errc{}) return number;
  return text;
}

value folded(rendering& run, const value& v) {
  const auto* text = std::get_if<std::string_view>(&v);
  if (!text) return v;
  run.spend_on_text(text->size());
  return run.keep(lower(*text));
}

value key_at(rendering& run, const value& item, const value* path, bool case_sensitive) {
  const value found = path ? at_path(run, item, *path) : item;
  return case_sensitive ? found : folded(run, found);
}

}  // namespace

value at_path(rendering& run, const value& of, const value& path, const value* fallback) {
  const auto* text = std::get_if<std::string_view>(&path);
  if (!text) {
    const value found = item_of(run, of, path);
    return fallback && is_undefined(found) ? *fallback : found;
  }
  value found = of;
  for (std::size_t begin = 0; begin <= text->size();) {
    const std::size_t end = std::min(text->find('.', begin), text->size());
    found = item_of(run, found, step_of(text->substr(begin, end - begin)));
    if (fallback && is_undefined(found)) found = *fallback;
    begin = end + 1;
  }
  return found;
}

value sort_key(rendering& run, const value& item, const value* path, bool case_sensitive) {
  if (path && is_none(*path)) path = nullptr;
  const auto* text = path ? std::get_if<std::string_view>(path) : nullptr;
  if (!text || text->find(',') == text->npos) return key_at(run, item, path, case_sensitive);
  std::vector<value> keys;
  for (std::size_t begin = 0; begin <= text->size();) {
    const std::size_t end = std::min(text->find(',', begin), text->size());
    const value one = text->substr(begin, end - begin);
    keys.push_back(key_at(run, item, &one, case_sensitive));
    begin = end + 1;
  }
  return run.list_of(std::move(keys));
}

}  // namespace troupe::kernels::chat
