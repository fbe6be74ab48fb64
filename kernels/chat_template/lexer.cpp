#include "kernels/chat_template/lexer.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/string_literal.hpp"

namespace troupe::kernels::chat {

namespace {

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr std::string_view signs[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                      "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                      ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

class lexer {
 public:
  explicit lexer(std::string_view source) : source_(source) {}

  std::vector<token> run() {
    while (pos_ < source_.size()) read_text();
    add(token_kind::end, {});
    return std::move(tokens_);
  }

 private:
  bool done() const { return pos_ >= source_.size(); }
  bool here(std::string_view what) const { return source_.substr(pos_).starts_with(what); }

  // Places only ever go forward.
  source_place place_of(std::size_t offset) {
    for (; counted_ < offset; ++counted_) {
      const char c = source_[counted_];
      if (c == '\n') {
        ++place_.line;
        place_.column = 1;
      } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
        ++place_.column;
      }
    }
    return place_;
  }

  token& add(token_kind kind, std::string text) {
    return tokens_.emplace_back(token{kind, std::move(text), 0, 0, place_of(begin_)});
  }

  [[noreturn]] void fail_here(std::string message) {
    throw template_failure{
        error_code::invalid_argument, std::move(message), {}, place_of(pos_), false};
  }

  void skip_spaces() { pos_ = source_.size() - strip_left(source_.substr(pos_)).size(); }

  // Where a tag or comment opens; npos where none does.
  std::size_t next_opening() const {
    for (std::size_t at = pos_; (at = source_.find('{', at)) != std::string_view::npos; ++at)
      if (at + 1 < source_.size() &&
          (source_[at + 1] == '{' || source_[at + 1] == '%' || source_[at + 1] == '#'))
        return at;
    return std::string_view::npos;
  }

  std::string_view without_blanks_before(std::string_view text, bool line_starting) const {
    const std::size_t last_break = text.rfind('\n');
    if (last_break == std::string_view::npos && !line_starting) return text;
    const std::size_t line = last_break == std::string_view::npos ? 0 : last_break + 1;
    return strip_left(text.substr(line)).empty() ? text.substr(0, line) : text;
  }

  void add_text(std::string_view text, char sign, bool variable) {
    if (sign == '-')
      text = strip_right(text);
    else if (sign != '+' && !variable)
      text = without_blanks_before(text, line_starting_);
    if (!text.empty()) add(token_kind::text, std::string(text));
  }

  void read_text() {
    begin_ = pos_;
    const std::size_t open = next_opening();
    if (open == std::string_view::npos) {
      add(token_kind::text, std::string(source_.substr(pos_)));
      pos_ = source_.size();
      return;
    }
    const char kind = source_[open + 1];
    const char after = open + 2 < source_.size() ? source_[open + 2] : '\0';
    const char sign = after == '-' || after == '+' ? after : '\0';
    add_text(source_.substr(pos_, open - pos_), sign, kind == '{');
    begin_ = open;
    pos_ = open + (sign ? 3 : 2);
    if (kind == '#') return read_comment();
    if (kind == '%' && read_raw()) return;
    add(kind == '%' ? token_kind::block_begin : token_kind::variable_begin, {});
    read_inside(kind == '%');
  }

  void read_comment() {
    const std::size_t close = source_.find("#}", pos_);
    if (close == std::string_view::npos) fail_here("a comment has no end");
    const char sign = close > pos_ ? source_[close - 1] : '\0';
    end_tag(close + 2, sign, true);
  }

  // Goes past a closing delimiter and what it takes with it.
  void end_tag(std::size_t end, char sign, bool takes_line_break) {
    pos_ = end;
    if (sign == '-')
      skip_spaces();
    else if (sign != '+' && takes_line_break && here("\n"))
      ++pos_;
    line_starting_ = source_[pos_ - 1] == '\n';
  }

  // {% raw %} ... {% endraw %}: text as it stands.
  bool read_raw() {
    const std::size_t back = pos_;
    skip_spaces();
    const bool named = here("raw");
    pos_ += named ? 3 : 0;
    skip_spaces();
    const bool strips = here("-%}");
    if (!named || !(strips || here("%}"))) {
      pos_ = back;
      return false;
    }
    end_tag(pos_ + (strips ? 3 : 2), strips ? '-' : '\0', false);
    begin_ = pos_;
    for (std::size_t open = pos_; (open = source_.find("{%", open)) != std::string_view::npos;
         ++open)
      if (ends_raw(open)) return true;
    fail_here("a raw block has no end");
  }

  bool ends_raw(std::size_t open) {
    const std::size_t begin = pos_;
    const char after = open + 2 < source_.size() ? source_[open + 2] : '\0';
    const char sign = after == '-' || after == '+' ? after : '\0';
    pos_ = open + (sign ? 3 : 2);
    skip_spaces();
    const bool named = here("endraw");
    pos_ += named ? 6 : 0;
    skip_spaces();
    const char closing = here("-%}") ? '-' : here("+%}") ? '+' : '\0';
    if (!named || !(closing || here("%}"))) {
      pos_ = begin;
      return false;
    }
    const std::size_t end = pos_ + (closing ? 3 : 2);
    add_text(source_.substr(begin, open - begin), sign, false);
    end_tag(end, closing, true);
    return true;
  }

  bool read_end(bool block) {
    const std::string_view plain = block ? "%}" : "}}";
    const char sign = here("-") || (block && here("+")) ? source_[pos_] : '\0';
    const std::size_t skipped = sign ? 1 : 0;
    if (!source_.substr(pos_ + skipped).starts_with(plain)) return false;
    begin_ = pos_;
    add(block ? token_kind::block_end : token_kind::variable_end, {});
    end_tag(pos_ + skipped + 2, sign, block);
    return true;
  }

  void read_inside(bool block) {
    std::string open;  // brackets; inside them the closing delimiter is none
    for (;;) {
      skip_spaces();
      if (done()) fail_here(block ? "a block tag has no end, %}" : "an output has no end, }}");
      if (open.empty() && read_end(block)) return;
      begin_ = pos_;
      if (source_[pos_] == '\'' || source_[pos_] == '"')
        read_string();
      else if (is_digit(source_[pos_]))
        read_number();
      else if (is_name(source_[pos_]))
        read_name();
      else
        read_sign(open);
    }
  }

  void read_string() {
    const char quote = source_[pos_];
    std::size_t end = pos_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail_here("a string has no end");
    try {
      add(token_kind::string, read_string_literal(source_.substr(pos_ + 1, end - pos_ - 1)));
    } catch (template_failure& failure) {
      failure.at = place_of(begin_);
      throw;
    }
    pos_ = end + 1;
  }

  void read_name() {
    while (!done() && is_name(source_[pos_])) ++pos_;
    add(token_kind::name, std::string(source_.substr(begin_, pos_ - begin_)));
  }

  void take_digits(std::string& digits, int base = 10) {
    const auto belongs = [&](char c) {
      const int digit = is_digit(c)                              ? c - '0'
                        : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                 : 99;
      return digit < base;
    };
    while (!done()) {
      const bool joins =
          source_[pos_] == '_' && pos_ + 1 < source_.size() && belongs(source_[pos_ + 1]);
      if (joins) ++pos_;
      if (!belongs(source_[pos_])) break;
      digits += source_[pos_++];
    }
  }

  void read_number() {
    const bool after_dot = pos_ > 0 && source_[pos_ - 1] == '.';
    int base = 10;
    if (here("0x") || here("0X")) base = 16;
    if (here("0o") || here("0O")) base = 8;
    if (here("0b") || here("0B")) base = 2;
    if (base != 10) pos_ += 2;
    std::string digits;
    take_digits(digits, base);
    if (base == 10 && !after_dot && read_fraction(digits)) return;
    std::int64_t number = 0;
    const auto [end, wrong] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    if (wrong != std::errc{} || end != digits.data() + digits.size())
      fail_here("a number does not fit into 64 bits: " + digits);
    if (base == 10 && number != 0 && digits.front() == '0')
      fail_here("a number begins with zero: " + digits);
    add(token_kind::integer, {}).integer = number;
  }

  // What follows an integer's digits where they begin a float.
  bool read_fraction(std::string& digits) {
    bool real = false;
    if (here(".") && pos_ + 1 < source_.size() && is_digit(source_[pos_ + 1])) {
      digits += source_[pos_++];
      take_digits(digits);
      real = true;
    }
    const std::size_t sign = here("e+") || here("e-") || here("E+") || here("E-") ? 2 : 1;
    if ((here("e") || here("E")) && pos_ + sign < source_.size() &&
        is_digit(source_[pos_ + sign])) {
      digits += source_.substr(pos_, sign);
      if (const std::size_t plus = digits.find('+'); plus != std::string::npos)
        digits.erase(plus, 1);
      pos_ += sign;
      take_digits(digits);
      real = true;
    }
    if (!real) return false;
    double number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (read.ec != std::errc{}) number = digits.find('-') == std::string::npos ? HUGE_VAL : 0;
    add(token_kind::real, {}).real = number;
    return true;
  }

  void read_sign(std::string& open) {
    const auto* sign = std::find_if(std::begin(signs), std::end(signs),
                                    [&](std::string_view s) { return here(s); });
    if (sign == std::end(signs)) {
      const auto character = source_.substr(pos_, byte_of(source_.substr(pos_), 1));
      fail_here("unexpected character '" + std::string(character) + "'");
    }
    const char c = sign->front();
    if (c == '(' || c == '[' || c == '{') open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) fail_here(std::string("unexpected '") + c + "'");
      open.pop_back();
    }
    pos_ += sign->size();
    add(token_kind::sign, std::string(*sign));
  }

  std::string_view source_;
  std::vector<token> tokens_;
  std::size_t pos_ = 0;
  std::size_t begin_ = 0;  // of the token in work
  bool line_starting_ = true;
  std::size_t counted_ = 0;
  source_place place_;
};

}  // namespace

std::vector<token> read_tokens(std::string_view source) {
  return lexer(source).run();
}

std::string normal_source(std::string_view source) {
  std::string normal;
  normal.reserve(source.size());
  for (std::size_t at = 0; at < source.size(); ++at) {
    if (source[at] == '\r') {
      normal += '\n';
      if (at + 1 < source.size() && source[at + 1] == '\n') ++at;
    } else {
      normal += source[at];
    }
  }
  if (normal.ends_with('\n')) normal.pop_back();
  return normal;
}

}  // namespace troupe::kernels::chat
