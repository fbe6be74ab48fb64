#include "kernels/chat_template/value_text.hpp"

#include <charconv>
#include <cmath>

#include "kernels/chat_template/characters.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

void add_escaped(text_builder& out, char32_t code) {
  constexpr char digits[] = "0123456789abcdef";
  const int size = code > 0xffff ? 8 : code > 0xff ? 4 : 2;
  std::string text = code > 0xffff ? "\\U" : code > 0xff ? "\\u" : "\\x";
  for (int shift = 4 * (size - 1); shift >= 0; shift -= 4) text += digits[(code >> shift) & 15];
  out.add(text);
}

void add_quoted(text_builder& out, std::string_view text) {
  const bool doubled = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = doubled ? '"' : '\'';
  out.run().spend(text.size() / 4);
  out.add(std::string_view(&quote, 1));
  while (!text.empty()) {
    const auto front = utf8::read_front(text);
    const std::string_view character = text.substr(0, front.size);
    text.remove_prefix(front.size);
    if (front.code == '\n')
      out.add("\\n");
    else if (front.code == '\t')
      out.add("\\t");
    else if (front.code == '\r')
      out.add("\\r");
    else if (front.code == '\\' || front.code == static_cast<char32_t>(quote))
      out.add("\\").add(character);
    else if (is_printable(front.code))
      out.add(character);
    else
      add_escaped(out, front.code);
  }
  out.add(std::string_view(&quote, 1));
}

void add_items(text_builder& out, const std::vector<value>& items) {
  bool first = true;
  for (const value& item : items) {
    if (!std::exchange(first, false)) out.add(", ");
    add_repr(out, item);
  }
}

void add_range(text_builder& out, const sequence& range) {
  out.add(range.label);  // as it was asked for
}

void add_sequence(text_builder& out, const sequence& s) {
  switch (s.kind) {
    case sequence_kind::list:
      out.add("[");
      add_items(out, s.items);
      out.add("]");
      return;
    case sequence_kind::tuple:
      out.add("(");
      add_items(out, s.items);
      out.add(s.items.size() == 1 ? ",)" : ")");
      return;
    case sequence_kind::range:
      return add_range(out, s);
    case sequence_kind::view:
      out.add(s.label).add("([");
      add_items(out, s.items);
      out.add("])");
      return;
    case sequence_kind::iterator:
      // Python prints an address here, which no prompt can mean.
      fail("an iterator has no text of its own", "add the filter 'list' or 'join'");
  }
}

void add_mapping(text_builder& out, const mapping& m) {
  out.add("{");
  bool first = true;
  for (const auto& [key, held] : m.entries) {
    if (!std::exchange(first, false)) out.add(", ");
    add_repr(out, key);
    out.add(": ");
    add_repr(out, held);
  }
  out.add("}");
}

struct printer {
  text_builder& out;

  void operator()(const undefined_value&) { out.add("Undefined"); }
  void operator()(none_value) { out.add("None"); }
  void operator()(bool b) { out.add(b ? "True" : "False"); }
  void operator()(std::int64_t n) { out.add(std::to_string(n)); }
  void operator()(double x) { out.add(repr_of_real(x)); }
  void operator()(std::string_view text) { add_quoted(out, text); }
  void operator()(const sequence* s) { add_sequence(out, *s); }
  void operator()(const mapping* m) { add_mapping(out, *m); }
  void operator()(const name_space* space) {
    out.add("<Namespace ");
    add_mapping(out, space->names);
    out.add(">");
  }
  void operator()(const callable* made) {
    fail("the function '" + std::string(made->name) + "' has no text", "call it: add '()'");
  }
  void operator()(const loop_state* loop) {
    out.add("<LoopContext " + std::to_string(loop->index + 1) + "/" + std::to_string(loop->length) +
            ">");
  }
};

}  // namespace

std::string repr_of_real(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
  char shortest[40];
  const auto written =
      std::to_chars(shortest, shortest + sizeof(shortest), x, std::chars_format::scientific);
  std::string_view text(shortest, static_cast<std::size_t>(written.ptr - shortest));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const std::string_view power = text.substr(e + (text[e + 1] == '+' ? 2 : 1));
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  const std::string sign = text.front() == '-' ? "-" : "";
  std::string digits;
  for (const char c : text.substr(0, e))
    if (c != '-' && c != '.') digits += c;
  if (exponent < -4 || exponent >= 16) {
    const std::string size = std::to_string(std::abs(exponent));
    return sign + digits.substr(0, 1) + (digits.size() > 1 ? "." + digits.substr(1) : "") + "e" +
           (exponent < 0 ? "-" : "+") + (size.size() < 2 ? "0" : "") + size;
  }
  if (exponent < 0) return sign + "0." + std::string(-exponent - 1, '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

void add_repr(text_builder& out, const value& v) {
  out.run().spend();
  const value_depth depth(out.run());
  std::visit(printer{out}, v);
}

void add_text(text_builder& out, const value& v) {
  if (const auto* text = std::get_if<std::string_view>(&v))
    out.add(*text);
  else if (!is_undefined(v))
    add_repr(out, v);
}

std::string_view text_of_value(rendering& run, const value& v) {
  if (const auto* text = std::get_if<std::string_view>(&v)) return *text;
  if (is_undefined(v)) return {};
  text_builder out(run);
  add_text(out, v);
  return run.keep(out.take());
}

}  // namespace troupe::kernels::chat
