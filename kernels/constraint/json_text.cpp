#include "kernels/constraint/json_text.hpp"

#include <algorithm>
#include <optional>

#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::constraint {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class json_reader {
 public:
  json_reader(std::string_view text, std::size_t depth_max) : text_(text), depth_max_(depth_max) {}

  std::optional<json_value> read() {
    json_value value;
    if (!read_value(value, 0)) return std::nullopt;
    skip_blanks();
    if (at_ < text_.size()) return fail("something follows the value"), std::nullopt;
    return value;
  }
  error failure() const {
    return {error_code::invalid_argument,
            "not JSON at byte " + std::to_string(at_) + ": " + problem_, "give one JSON value"};
  }

 private:
  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }
  void skip_blanks() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != text_.npos) ++at_;
  }
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool read_value(json_value& out, std::size_t depth) {
    if (depth > depth_max_) return fail("nests deeper than " + std::to_string(depth_max_));
    skip_blanks();
    if (at_ >= text_.size()) return fail("a value is missing");
    const char c = text_[at_];
    if (c == '{') return read_object(out, depth);
    if (c == '[') return read_array(out, depth);
    if (c == '"') return out.kind = json_value::form::text, read_text(out.text);
    if (c == '-' || is_digit(c)) return read_number(out);
    for (const std::string_view word : {"true", "false", "null"})
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        out.kind = word == "null" ? json_value::form::null : json_value::form::boolean;
        out.truth = word == "true";
        return true;
      }
    return fail("a value is missing");
  }

  bool read_object(json_value& out, std::size_t depth) {
    out.kind = json_value::form::object;
    ++at_;
    skip_blanks();
    if (take('}')) return true;
    do {
      skip_blanks();
      std::string name;
      if (at_ >= text_.size() || text_[at_] != '"') return fail("a member's name is missing");
      if (!read_text(name)) return false;
      if (out.members.size() == json_width_max) return fail("an object is too wide");
      if (out.find(name)) return fail("member " + write_json_text(name) + " is there twice");
      skip_blanks();
      if (!take(':')) return fail("':' is missing");
      out.members.emplace_back(std::move(name), json_value{});
      if (!read_value(out.members.back().second, depth + 1)) return false;
      skip_blanks();
    } while (take(','));
    return take('}') || fail("'}' or ',' is missing");
  }

  bool read_array(json_value& out, std::size_t depth) {
    out.kind = json_value::form::array;
    ++at_;
    skip_blanks();
    if (take(']')) return true;
    do {
      if (out.items.size() == json_width_max) return fail("an array is too wide");
      out.items.emplace_back();
      if (!read_value(out.items.back(), depth + 1)) return false;
      skip_blanks();
    } while (take(','));
    return take(']') || fail("']' or ',' is missing");
  }

  bool read_digits() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    return at_ > begin || fail("a digit is missing");
  }
  bool read_number(json_value& out) {
    const std::size_t begin = at_;
    take('-');
    if (!take('0') && !read_digits()) return false;
    if (take('.') && !read_digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!read_digits()) return false;
    }
    out.kind = json_value::form::number;
    out.text = text_.substr(begin, at_ - begin);
    return true;
  }

  bool read_hex(char32_t& code) {
    code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '?';
      const std::size_t digit = std::string_view("0123456789abcdefABCDEF").find(c);
      if (digit == std::string_view::npos) return fail("four hexadecimal digits are missing");
      code = code << 4 | static_cast<char32_t>(digit < 16 ? digit : digit - 6);
    }
    return true;
  }
  bool read_escape(std::string& out) {
    const char c = at_ < text_.size() ? text_[at_++] : '?';
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    if (const std::size_t i = letters.find(c); i != letters.npos) {
      out += meanings[i];
      return true;
    }
    char32_t code = 0;
    if (c != 'u') return fail("an unknown escape");
    if (!read_hex(code)) return false;
    if (code >= 0xD800 && code < 0xDC00) {
      char32_t low = 0;
      if (!take('\\') || !take('u')) return fail("half of a surrogate pair");
      if (!read_hex(low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return fail("half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      return fail("half of a surrogate pair");
    }
    utf8::append(out, code);
    return true;
  }
  bool read_text(std::string& out) {
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a text");
      if (c != '\\') {
        out += c;
      } else if (!read_escape(out)) {
        return false;
      }
    }
    return fail("a text has no end");
  }

  std::string_view text_;
  std::size_t depth_max_;
  std::size_t at_ = 0;
  std::string problem_;
};

}  // namespace

const json_value* json_value::find(std::string_view name) const {
  for (const auto& [key, value] : members)
    if (key == name) return &value;
  return nullptr;
}

result<json_value> read_json(std::string_view text, std::size_t depth_max) {
  if (const auto invalid = utf8::find_invalid(text))
    return error{error_code::invalid_argument, "not UTF-8 at byte " + std::to_string(*invalid),
                 "send UTF-8"};
  json_reader reader(text, depth_max);
  std::optional<json_value> value = reader.read();
  if (!value) return reader.failure();
  return std::move(*value);
}

std::string write_json_text(std::string_view characters) {
  std::string out = "\"";
  constexpr std::string_view letters = "\"\\bfnrt", meanings = "\"\\\b\f\n\r\t";
  for (const char c : characters) {
    if (const std::size_t i = meanings.find(c); i != meanings.npos) {
      out += '\\';
      out += letters[i];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += c < 0x10 ? '0' : '1';
      out += "0123456789abcdef"[c & 15];
    } else {
      out += c;
    }
  }
  return out += '"';
}

std::string write_json(const json_value& value) {
  switch (value.kind) {
    case json_value::form::null:
      return "null";
    case json_value::form::boolean:
      return value.truth ? "true" : "false";
    case json_value::form::number:
      return value.text;
    case json_value::form::text:
      return write_json_text(value.text);
    case json_value::form::array: {
      std::string out = "[";
      for (const json_value& item : value.items)
        out += (out.size() > 1 ? "," : "") + write_json(item);
      return out += ']';
    }
    case json_value::form::object:
      break;
  }
  std::string out = "{";
  for (const auto& [name, member] : value.members)
    out += (out.size() > 1 ? "," : "") + write_json_text(name) + ":" + write_json(member);
  return out += '}';
}

std::size_t decimal::significant_digits() const {
  std::string digits = whole + fraction;
  digits.erase(0, digits.find_first_not_of('0'));
  return fraction.empty() ? digits.find_last_not_of('0') + 1 : digits.size();
}

result<decimal> read_decimal(std::string_view number) {
  decimal out;
  const std::size_t e = number.find_first_of("eE");
  std::string_view digits = number.substr(0, e);
  out.negative = digits.starts_with('-');
  if (out.negative) digits.remove_prefix(1);
  const std::size_t point = digits.find('.');
  std::string all(digits.substr(0, point));
  std::ptrdiff_t whole_size = static_cast<std::ptrdiff_t>(all.size());
  if (point != digits.npos) all += digits.substr(point + 1);
  constexpr std::ptrdiff_t most = decimal_digits_max;
  if (e != number.npos) {
    std::string_view power = number.substr(e + 1);
    const bool down = power.starts_with('-');
    if (down || power.starts_with('+')) power.remove_prefix(1);
    std::ptrdiff_t shift = 0;
    for (const char c : power) shift = std::min<std::ptrdiff_t>(shift * 10 + (c - '0'), 4 * most);
    whole_size += down ? -shift : shift;
  }
  const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(all.size());
  if (std::max(whole_size, size) > most || size - whole_size > most)
    return error{error_code::invalid_argument,
                 "a number has more than " + std::to_string(most) + " digits",
                 "write a shorter number"};
  if (whole_size < 0) all.insert(0, static_cast<std::size_t>(-whole_size), '0'), whole_size = 0;
  if (whole_size > size) all.append(static_cast<std::size_t>(whole_size - size), '0');
  out.whole = all.substr(0, static_cast<std::size_t>(whole_size));
  out.fraction = all.substr(static_cast<std::size_t>(whole_size));
  out.whole.erase(0, out.whole.find_first_not_of('0'));
  if (out.whole.empty()) out.whole = "0";
  out.fraction.erase(out.fraction.find_last_not_of('0') + 1);
  if (out.is_zero()) out.negative = false;
  return out;
}

int compare(const decimal& a, const decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  int larger = 0;
  if (a.whole.size() != b.whole.size()) {
    larger = a.whole.size() < b.whole.size() ? -1 : 1;
  } else {
    const int order = (a.whole + "." + a.fraction).compare(b.whole + "." + b.fraction);
    larger = order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  return a.negative ? -larger : larger;
}

bool equal(const json_value& a, const json_value& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case json_value::form::null:
      return true;
    case json_value::form::boolean:
      return a.truth == b.truth;
    case json_value::form::text:
      return a.text == b.text;
    case json_value::form::number: {
      const result<decimal> x = read_decimal(a.text), y = read_decimal(b.text);
      return x && y ? *x == *y : a.text == b.text;
    }
    case json_value::form::array:
      return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal);
    case json_value::form::object:
      break;
  }
  if (a.members.size() != b.members.size()) return false;
  return std::all_of(a.members.begin(), a.members.end(), [&b](const auto& member) {
    const json_value* other = b.find(member.first);
    return other && equal(member.second, *other);
  });
}

}  // namespace troupe::kernels::constraint
