#include "kernels/constraint/pattern_reading.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "kernels/constraint/automaton.hpp"
#include "kernels/constraint/pattern.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::constraint {
namespace {

constexpr char32_t last_character = 0x10FFFF;
constexpr std::size_t group_depth_max = 32;
constexpr std::uint32_t repeats_max = 10000;

const character_ranges digits = {{'0', '9'}};
const character_ranges word_characters = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const character_ranges white_space = {
    {'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
    {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const character_ranges line_ends = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

character_ranges merged(character_ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  character_ranges out;
  for (const auto& [low, high] : ranges) {
    if (!out.empty() && low <= out.back().second + 1)
      out.back().second = std::max(out.back().second, high);
    else
      out.emplace_back(low, high);
  }
  return out;
}

character_ranges all_but(const character_ranges& ranges) {
  character_ranges out;
  char32_t low = 0;
  for (const auto& [first, last] : merged(ranges)) {
    if (first > low) out.emplace_back(low, first - 1);
    low = last + 1;
  }
  if (low <= last_character) out.emplace_back(low, last_character);
  return out;
}

std::optional<character_ranges> class_escape(char32_t letter) {
  switch (letter) {
    case 'd':
      return digits;
    case 'D':
      return all_but(digits);
    case 'w':
      return word_characters;
    case 'W':
      return all_but(word_characters);
    case 's':
      return white_space;
    case 'S':
      return all_but(white_space);
    default:
      return std::nullopt;
  }
}

class pattern_reader {
 public:
  explicit pattern_reader(std::string_view pattern) {
    for (std::size_t at = 0; at < pattern.size();) {
      const utf8::front next = utf8::read_front(pattern.substr(at));
      characters_.push_back(next.code);
      offsets_.push_back(at);
      at += next.size;
    }
    offsets_.push_back(pattern.size());
  }

  std::optional<pattern_alternatives> read() {
    pattern_alternatives out;
    do {
      pattern_alternative& next = out.emplace_back();
      next.from_beginning = take('^');
      if (!read_sequence(next.piece, 0)) return std::nullopt;
      next.to_end = take('$');
      if (!at_end() && peek() != '|')
        return fail(peek() == ')' ? "')' without '('" : "'$' before the end"), std::nullopt;
    } while (take('|'));
    return out;
  }
  error failure() const {
    return {error_code::invalid_argument,
            "the pattern has at byte " + std::to_string(offsets_[at_]) + ": " + problem_,
            "use characters, classes, groups, '|', quantifiers, '^' first and '$' last"};
  }

 private:
  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }
  bool at_end() const { return at_ == characters_.size(); }
  char32_t peek() const { return at_end() ? U'\0' : characters_[at_]; }
  bool take(char32_t c) {
    if (at_end() || characters_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool read_choice(pattern_piece& out, std::size_t depth) {
    out.kind = pattern_piece::form::choice;
    do
      if (!read_sequence(out.parts.emplace_back(), depth)) return false;
    while (take('|'));
    return true;
  }

  bool read_sequence(pattern_piece& out, std::size_t depth) {
    while (!at_end() && peek() != '|' && peek() != ')') {
      if (peek() == '$' && depth == 0) return true;
      pattern_piece piece;
      if (!read_single(piece, depth) || !read_quantifier(piece)) return false;
      out.parts.push_back(std::move(piece));
    }
    return true;
  }

  bool read_single(pattern_piece& out, std::size_t depth) {
    const char32_t c = peek();
    if (c == '(') return read_group(out, depth);
    out.kind = pattern_piece::form::characters;
    if (c == '[') return read_class(out.ranges);
    if (c == '^' || c == '$') return fail("an anchor inside the pattern");
    if (c == '*' || c == '+' || c == '?' || c == '{') return fail("nothing to repeat");
    ++at_;
    if (c == '.') return out.ranges = all_but(line_ends), true;
    if (c == '\\') return read_escape(out.ranges, false);
    out.ranges = {{c, c}};
    return true;
  }

  bool read_group(pattern_piece& out, std::size_t depth) {
    ++at_;
    if (depth == group_depth_max) return fail("groups nest too deep");
    if (take('?') && !take(':')) {
      if (!take('<') || peek() == '=' || peek() == '!')
        return fail("look-around, which is not taken");
      while (!at_end() && peek() != '>') ++at_;
      if (!take('>')) return fail("a group's name without '>'");
    }
    return read_choice(out, depth + 1) && (take(')') || fail("'(' without ')'"));
  }

  bool read_number(std::uint32_t& out) {
    const std::size_t begin = at_;
    for (out = 0; peek() >= '0' && peek() <= '9'; ++at_)
      out = std::min<std::uint32_t>(out * 10 + (peek() - '0'), repeats_max + 1);
    return at_ > begin;
  }
  bool read_quantifier(pattern_piece& piece) {
    std::uint32_t least = 0, most = length_bounds::none;
    if (take('+')) {
      least = 1;
    } else if (take('?')) {
      most = 1;
    } else if (take('{')) {
      if (!read_number(least)) return fail("a repeat without its number");
      most = least;
      if (take(',') && !read_number(most)) most = length_bounds::none;
      if (!take('}')) return fail("a repeat without '}'");
      if (least > repeats_max || (most != length_bounds::none && most > repeats_max))
        return fail("more than " + std::to_string(repeats_max) + " repeats");
      if (most < least) return fail("a repeat whose most is less than its least");
    } else if (!take('*')) {
      return true;
    }
    take('?');
    pattern_piece repeat{pattern_piece::form::repeat, {}, {}, least, most};
    repeat.parts.push_back(std::move(piece));
    piece = std::move(repeat);
    return true;
  }

  bool read_hex(int count, char32_t& code) {
    code = 0;
    for (int i = 0; i < count; ++i, ++at_) {
      const char32_t c = peek();
      const std::size_t digit =
          c < 0x80 ? std::string_view("0123456789abcdefABCDEF").find(static_cast<char>(c))
                   : std::string_view::npos;
      if (digit == std::string_view::npos) return fail("hexadecimal digits are missing");
      code = code << 4 | static_cast<char32_t>(digit < 16 ? digit : digit - 6);
    }
    return true;
  }

  // After the backslash. A class inside a class is fine; `in_class` also takes \b (backspace), \-.
  bool read_escape(character_ranges& out, bool in_class) {
    if (at_end()) return fail("'\\' at the end");
    const char32_t c = characters_[at_];
    if (auto ranges = class_escape(c)) return ++at_, out = *ranges, true;
    char32_t code = 0;
    constexpr std::string_view letters = "tnvfr0", meanings{"\t\n\v\f\r\0", 6};
    const std::size_t i = c < 0x80 ? letters.find(static_cast<char>(c)) : letters.npos;
    if (i != letters.npos) {
      ++at_;
      code = static_cast<unsigned char>(meanings[i]);
      if (c == '0' && peek() >= '0' && peek() <= '9') return fail("an octal escape");
    } else if (c == 'x' || c == 'u') {
      ++at_;
      if (!read_hex(c == 'x' ? 2 : 4, code)) return false;
      if (code >= 0xD800 && code <= 0xDFFF && !read_low_half(code)) return false;
    } else if (c == 'b' && in_class) {
      ++at_;
      code = '\b';
    } else if (c < 0x80 && word_like(c)) {
      return fail(std::string("\\") + static_cast<char>(c) + ", which is not taken");
    } else {
      ++at_;
      code = c;
    }
    out = {{code, code}};
    return true;
  }
  bool read_low_half(char32_t& code) {
    char32_t low = 0;
    if (code >= 0xDC00 || !take('\\') || !take('u')) return fail("half of a surrogate pair");
    if (!read_hex(4, low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return fail("half of a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    return true;
  }
  static bool word_like(char32_t c) {
    return std::any_of(word_characters.begin(), word_characters.end(),
                       [c](const auto& range) { return c >= range.first && c <= range.second; });
  }

  bool read_class_part(character_ranges& out) {
    if (take('\\')) return read_escape(out, true);
    const char32_t c = characters_[at_++];
    out = {{c, c}};
    return true;
  }
  static bool is_single(const character_ranges& ranges) {
    return ranges.size() == 1 && ranges[0].first == ranges[0].second;
  }
  bool read_class(character_ranges& out) {
    ++at_;
    const bool negated = take('^');
    character_ranges all;
    while (!at_end() && peek() != ']') {
      character_ranges part, last;
      if (!read_class_part(part)) return false;
      const bool is_range = peek() == '-' && at_ + 1 < characters_.size() &&
                            characters_[at_ + 1] != ']' && is_single(part);
      if (is_range) {
        ++at_;
        if (!read_class_part(last)) return false;
        if (!is_single(last)) return fail("a range that ends with a class");
        if (last[0].first < part[0].first) return fail("a range that ends before it begins");
        part[0].second = last[0].first;
      }
      all.insert(all.end(), part.begin(), part.end());
    }
    if (!take(']')) return fail("'[' without ']'");
    out = negated ? all_but(all) : merged(std::move(all));
    return true;
  }

  std::vector<char32_t> characters_;
  std::vector<std::size_t> offsets_;
  std::size_t at_ = 0;
  std::string problem_;
};

}  // namespace

result<pattern_alternatives> read_pattern(std::string_view pattern) {
  if (pattern.size() > pattern_bytes_max)
    return error{error_code::invalid_argument,
                 "the pattern has " + std::to_string(pattern.size()) + " bytes",
                 std::to_string(pattern_bytes_max) + " are allowed"};
  if (const auto invalid = utf8::find_invalid(pattern))
    return error{error_code::invalid_argument,
                 "the pattern is not UTF-8 at byte " + std::to_string(*invalid), "send UTF-8"};
  pattern_reader reader(pattern);
  std::optional<pattern_alternatives> read = reader.read();
  if (!read) return reader.failure();
  return std::move(*read);
}

}  // namespace troupe::kernels::constraint
