#include "kernels/chat_template/json_text.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/chat_template/value_rules.hpp"
#include "kernels/chat_template/value_text.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

class json_writer {
 public:
  json_writer(text_builder& out, const json_style& style) : out_(out), style_(style) {}

  void write(const value& v) {
    out_.run().spend();
    const value_depth guard(out_.run());
    if (is_none(v))
      out_.add("null");
    else if (const bool* b = std::get_if<bool>(&v))
      out_.add(*b ? "true" : "false");
    else if (const auto* n = std::get_if<std::int64_t>(&v))
      out_.add(std::to_string(*n));
    else if (const double* x = std::get_if<double>(&v))
      out_.add(real(*x));
    else if (const auto* text = std::get_if<std::string_view>(&v))
      write_text(*text);
    else if (const sequence* s = as_sequence(v); s && s->kind <= sequence_kind::tuple)
      write_items(*s);
    else if (const mapping* m = as_mapping(v))
      write_entries(*m);
    else
      fail("Object of type " + std::string(type_name(v)) + " is not JSON serializable",
           as_sequence(v) ? "add the filter 'list'" : "");
  }

 private:
  static std::string real(double x) {
    if (std::isnan(x)) return "NaN";
    if (std::isinf(x)) return x > 0 ? "Infinity" : "-Infinity";
    return repr_of_real(x);
  }

  void line_break(std::size_t levels) {
    if (!style_.indent) return;
    out_.add("\n").add(levels, *style_.indent);
  }

  void separate(bool& first) {
    if (!std::exchange(first, false)) out_.add(style_.item_separator);
    line_break(level_);
  }

  void write_items(const sequence& s) {
    if (s.items.empty()) return void(out_.add("[]"));
    out_.add("[");
    ++level_;
    bool first = true;
    for (const value& item : s.items) {
      separate(first);
      write(item);
    }
    line_break(--level_);
    out_.add("]");
  }

  std::string_view key_text(const value& key) {
    if (is_text(key)) return std::get<std::string_view>(key);
    if (is_none(key)) return "null";
    if (const bool* b = std::get_if<bool>(&key)) return *b ? "true" : "false";
    if (const double* x = std::get_if<double>(&key)) return out_.run().keep(real(*x));
    if (integer_of(key)) return text_of_value(out_.run(), key);
    fail("keys must be str, int, float, bool or None, not " + std::string(type_name(key)));
  }

  void write_entries(const mapping& m) {
    if (m.entries.empty()) return void(out_.add("{}"));
    working_list<const std::pair<value, value>*> entries(out_.run(), m.entries.size());
    for (const auto& entry : m.entries) entries.add(&entry);
    if (style_.sort_keys)
      std::stable_sort(
          entries.items().begin(), entries.items().end(),
          [&](const auto* a, const auto* b) { return order(out_.run(), a->first, b->first) < 0; });
    out_.add("{");
    ++level_;
    bool first = true;
    for (const auto* entry : entries.items()) {
      separate(first);
      write_text(key_text(entry->first));
      out_.add(style_.key_separator);
      write(entry->second);
    }
    line_break(--level_);
    out_.add("}");
  }

  void write_unit(std::uint32_t unit) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) text += digits[(unit >> shift) & 15];
    out_.add(text);
  }

  void write_escaped(char32_t code) {
    switch (code) {
      case '\n':
        return void(out_.add("\\n"));
      case '\r':
        return void(out_.add("\\r"));
      case '\t':
        return void(out_.add("\\t"));
      case '\b':
        return void(out_.add("\\b"));
      case '\f':
        return void(out_.add("\\f"));
      case '"':
        return void(out_.add("\\\""));
      case '\\':
        return void(out_.add("\\\\"));
      default:
        break;
    }
    if (code <= 0xffff) return write_unit(code);
    write_unit(0xd800 + ((code - 0x10000) >> 10));
    write_unit(0xdc00 + ((code - 0x10000) & 0x3ff));
  }

  void write_text(std::string_view text) {
    out_.add("\"");
    std::size_t plain = 0;  // bytes at the front that stand as they are
    while (plain < text.size()) {
      const auto front = utf8::read_front(text.substr(plain));
      const char32_t code = front.code;
      const bool escape =
          code < 0x20 || code == '"' || code == '\\' || (style_.only_ascii && code > 0x7e);
      if (escape) {
        out_.add(text.substr(0, plain));
        write_escaped(code);
        text.remove_prefix(plain + front.size);
        plain = 0;
      } else {
        plain += front.size;
      }
    }
    out_.add(text).add("\"");
  }

  text_builder& out_;
  const json_style& style_;
  std::size_t level_ = 0;  // of indentation
};

std::string_view checked_text(const std::string& text) {
  if (const auto wrong = utf8::find_invalid(text))
    fail("the conversation holds text that is not UTF-8, at byte " + std::to_string(*wrong) +
         " of " + std::to_string(text.size()));
  return text;
}

value number_value(const chat_json& number) {
  if (number.is_number_float()) return number.get<double>();
  if (number.is_number_unsigned() && number.get<std::uint64_t>() > INT64_MAX)
    fail("the conversation holds a number beyond 64 bits: " + number.dump());
  return number.get<std::int64_t>();
}

}  // namespace

value value_of_json(rendering& run, const chat_json& document) {
  run.spend();
  const value_depth guard(run);
  switch (document.type()) {
    case chat_json::value_t::boolean:
      return document.get<bool>();
    case chat_json::value_t::number_integer:
    case chat_json::value_t::number_unsigned:
    case chat_json::value_t::number_float:
      return number_value(document);
    case chat_json::value_t::string: {
      const auto& text = document.get_ref<const std::string&>();
      run.spend_on_text(text.size());
      return checked_text(text);
    }
    case chat_json::value_t::array: {
      std::vector<value> items;
      for (const chat_json& item : document) items.push_back(value_of_json(run, item));
      return run.list_of(std::move(items));
    }
    case chat_json::value_t::object: {
      std::vector<std::pair<value, value>> entries;
      for (const auto& [key, held] : document.get_ref<const chat_json::object_t&>())
        entries.emplace_back(checked_text(key), value_of_json(run, held));
      return run.make_mapping(std::move(entries));
    }
    default:
      return none_value{};
  }
}

void add_json(text_builder& out, const value& v, const json_style& style) {
  json_writer(out, style).write(v);
}

}  // namespace troupe::kernels::chat
