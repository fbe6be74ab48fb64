#include "kernels/tokenizer/pre_tokenizer.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "kernels/tokenizer/character_class.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels {
namespace {

struct free_code {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct free_match {
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
};

// A pattern that names a character beyond ASCII runs on the text itself; any other on its collapsed
// form, one byte for each character, where a class is a set of bytes and Unicode's size costs
// nothing.
bool runs_on_text(std::string_view pattern) {
  return pattern.find("\\x{") != std::string_view::npos;
}

struct shorthand {
  std::string_view written;
  std::string_view collapsed;  // as the inside of [...]
  std::string_view text;       // the same for a pattern that runs on the text
};

// ASCII characters stand for themselves, others for their character_class.
constexpr shorthand shorthands[] = {
    {"\\p{L}", "A-Za-z\\x80", ""},
    {"\\p{La}", "\\x80", ""},
    {"\\p{N}", "0-9\\x81", ""},
    {"\\p{P}", "!-#%-*,\\-.\\/:;?@\\[\\\\\\]_{}\\x82", ""},
    {"\\p{S}", "$+<=>^`|~\\x83", ""},
    {"\\p{M}", "\\x84", ""},
    {"\\p{White}", "\\x85", ""},
    {"\\s", "\\t-\\r \\x85",
     "\\t-\\r "
     "\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"},
};

// The pattern with every shorthand written out.
std::string expand(std::string_view pattern, bool on_text) {
  std::string out;
  bool inside = false;  // of [...]
  const auto members = [on_text](const shorthand& one) {
    return on_text ? one.text : one.collapsed;
  };
  while (!pattern.empty()) {
    if (pattern.starts_with("\\S")) {
      out += "[^" + std::string(members(shorthands[std::size(shorthands) - 1])) + "]";
      pattern.remove_prefix(2);
      continue;
    }
    const shorthand* found = nullptr;
    for (const shorthand& one : shorthands)
      if (pattern.starts_with(one.written)) found = &one;
    if (found) {
      const std::string set(members(*found));
      out += inside ? set : "[" + set + "]";
      pattern.remove_prefix(found->written.size());
      continue;
    }
    const std::size_t take = pattern[0] == '\\' ? 2 : 1;
    if (pattern[0] == '[') inside = true;
    if (pattern[0] == ']') inside = false;
    out += pattern.substr(0, take);
    pattern.remove_prefix(take);
  }
  return out;
}

}  // namespace

struct word_rules::step {
  std::unique_ptr<pcre2_code, free_code> code;
  bool on_text = false;
};

word_rules::word_rules() = default;
word_rules::word_rules(word_rules&&) noexcept = default;
word_rules& word_rules::operator=(word_rules&&) noexcept = default;
word_rules::~word_rules() = default;

result<word_rules> word_rules::make(const pre_tokenizer_row& row) {
  word_rules made;
  for (const std::string_view pattern : row.patterns) {
    const bool on_text = runs_on_text(pattern);
    const std::string expanded = expand(pattern, on_text);
    int number = 0;
    PCRE2_SIZE at = 0;
    const std::uint32_t options =
        PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE | (on_text ? PCRE2_UTF : 0u);
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expanded.data()), expanded.size(),
                                     options, &number, &at, nullptr);
    if (!code)
      return error{error_code::internal,
                   "pre-tokenizer " + std::string(row.names[0]) + ": pattern " + expanded +
                       " fails at " + std::to_string(at) + " with PCRE2 error " +
                       std::to_string(number),
                   {}};
    step next{std::unique_ptr<pcre2_code, free_code>(code), on_text};
    // Without JIT (a PCRE2 built so, or no executable memory) the interpreter gives the same
    // matches, slower.
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    made.steps_.push_back(std::move(next));
  }
  return made;
}

// One pattern's walk through one piece.
struct word_cutter::level {
  const pcre2_code* code = nullptr;
  bool on_text = false;
  std::unique_ptr<pcre2_match_data, free_match> match;
  std::string collapsed;      // of the piece, where it is not ASCII
  std::string_view subject;   // what the pattern sees
  std::string_view piece;     // what is still to be given out
  std::size_t piece_at = 0;   // where that begins in `subject`
  std::size_t search_at = 0;  // where the next match is looked for
  std::size_t match_end = 0;  // of a match that has been found but not given out, in `subject`
  bool matched = false;

  void begin(std::string_view text) {
    piece = text;
    piece_at = search_at = 0;
    matched = false;
    subject = text;
    if (on_text || utf8::is_ascii(text)) return;
    collapse(text, collapsed);
    subject = collapsed;
  }

  // Gives out the piece up to `end` of the subject.
  std::string_view take(std::size_t end) {
    std::size_t bytes = end - piece_at;
    if (subject.data() == collapsed.data() && !on_text) {
      std::size_t at = 0;
      for (std::size_t characters = bytes; characters > 0; --characters)
        at += utf8::read_front(piece.substr(at)).size;
      bytes = at;
    }
    const std::string_view word = piece.substr(0, bytes);
    piece.remove_prefix(bytes);
    piece_at = end;
    return word;
  }

  result<std::string_view> next() {
    while (!piece.empty()) {
      if (matched) {
        matched = false;
        if (match_end > piece_at) return take(match_end);
      }
      const int found =
          search_at > subject.size()
              ? PCRE2_ERROR_NOMATCH
              : pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(subject.data()), subject.size(),
                            search_at, PCRE2_NO_UTF_CHECK, match.get(), nullptr);
      if (found == PCRE2_ERROR_NOMATCH) return take(subject.size());
      if (found < 0)
        return error{error_code::resource_exhausted,
                     "the pre-tokenizer's pattern engine gave up on a text of " +
                         std::to_string(subject.size()) + " characters with PCRE2 error " +
                         std::to_string(found),
                     "send the text in smaller parts"};
      const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match.get());
      match_end = span[1];
      search_at = span[1] > span[0] ? span[1] : span[1] + 1;
      matched = true;
      if (span[0] > piece_at) return take(span[0]);
    }
    return std::string_view{};
  }
};

word_cutter::word_cutter(const word_rules& rules) : levels_(rules.steps_.size()) {
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    levels_[i].code = rules.steps_[i].code.get();
    levels_[i].on_text = rules.steps_[i].on_text;
    levels_[i].match.reset(pcre2_match_data_create(1, nullptr));
  }
}

word_cutter::~word_cutter() = default;

void word_cutter::begin(std::string_view text) {
  for (level& each : levels_) each.begin({});
  levels_[0].begin(text);
}

result<std::string_view> word_cutter::next() {
  std::size_t depth = levels_.size() - 1;
  while (true) {
    result<std::string_view> word = levels_[depth].next();
    if (!word || (!word->empty() && depth + 1 == levels_.size())) return word;
    if (word->empty()) {
      if (depth == 0) return word;
      --depth;
      continue;
    }
    levels_[++depth].begin(*word);
  }
}

}  // namespace troupe::kernels
