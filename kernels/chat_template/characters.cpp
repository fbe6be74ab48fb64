#include "kernels/chat_template/characters.hpp"

#include <utf8proc.h>

#include <cstring>
#include <utility>

#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

utf8proc_category_t category_of(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

// The last character of a text that is not empty: where it begins.
std::size_t last_begin(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) --begin;
  return begin;
}

// append(out, character) for each.
template <class Append>
std::string changed(std::string_view text, Append append) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto front = utf8::read_front(text);
    append(out, front.code);
    text.remove_prefix(front.size);
  }
  return out;
}

constexpr char32_t sharp_s = 0xdf;  // the one letter of common texts that becomes two

void append_title(std::string& out, char32_t code, bool begins) {
  if (begins && code == sharp_s)
    out += "Ss";
  else
    utf8::append(out, begins ? to_title(code) : to_lower(code));
}

template <class Belongs>
std::string_view without_front(std::string_view text, Belongs belongs) {
  while (!text.empty()) {
    const auto front = utf8::read_front(text);
    if (!belongs(text.substr(0, front.size), front.code)) break;
    text.remove_prefix(front.size);
  }
  return text;
}

template <class Belongs>
std::string_view without_back(std::string_view text, Belongs belongs) {
  while (!text.empty()) {
    const std::string_view last = text.substr(last_begin(text));
    if (!belongs(last, utf8::read_front(last).code)) break;
    text.remove_suffix(last.size());
  }
  return text;
}

}  // namespace

bool is_space(char32_t code) {
  if (code < 0x80)
    return code == ' ' || (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x1f);
  return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
         code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

bool is_printable(char32_t code) {
  if (code < 0x7f) return code >= 0x20;
  switch (category_of(code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

bool is_upper(char32_t code) {
  return category_of(code) == UTF8PROC_CATEGORY_LU;
}
bool is_lower(char32_t code) {
  return category_of(code) == UTF8PROC_CATEGORY_LL;
}
bool is_cased(char32_t code) {
  const auto category = category_of(code);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}
bool is_letter(char32_t code) {
  const auto category = category_of(code);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(char32_t code) {
  return category_of(code) == UTF8PROC_CATEGORY_ND;
}
bool is_word(char32_t code) {
  const auto category = category_of(code);
  return code == '_' || is_letter(code) ||
         (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

char32_t to_upper(char32_t code) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code)));
}
char32_t to_lower(char32_t code) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}
char32_t to_title(char32_t code) {
  return static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(code)));
}

std::u32string codes_of(std::string_view text) {
  std::u32string codes;
  codes.reserve(text.size());
  while (!text.empty()) {
    const auto front = utf8::read_front(text);
    codes += front.code;
    text.remove_prefix(front.size);
  }
  return codes;
}

std::string text_of(std::u32string_view codes) {
  std::string text;
  for (const char32_t code : codes) utf8::append(text, code);
  return text;
}

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return count;
}

std::size_t byte_of(std::string_view text, std::size_t character) {
  for (std::size_t at = 0; at < text.size(); ++at)
    if ((static_cast<unsigned char>(text[at]) & 0xc0) != 0x80 && character-- == 0) return at;
  return text.size();
}

std::string_view strip_left(std::string_view text) {
  return without_front(text, [](std::string_view, char32_t code) { return is_space(code); });
}

std::string_view strip_right(std::string_view text) {
  return without_back(text, [](std::string_view, char32_t code) { return is_space(code); });
}

// A whole character is looked for in valid UTF-8, so it is found only where a character begins.
std::string_view strip_left(std::string_view text, std::string_view characters) {
  return without_front(text, [&](std::string_view character, char32_t) {
    return characters.find(character) != std::string_view::npos;
  });
}

std::string_view strip_right(std::string_view text, std::string_view characters) {
  return without_back(text, [&](std::string_view character, char32_t) {
    return characters.find(character) != std::string_view::npos;
  });
}

std::string upper(std::string_view text) {
  return changed(text, [](std::string& out, char32_t code) {
    if (code == sharp_s)
      out += "SS";
    else
      utf8::append(out, to_upper(code));
  });
}

std::string lower(std::string_view text) {
  return changed(text, [](std::string& out, char32_t code) { utf8::append(out, to_lower(code)); });
}

std::string capitalize(std::string_view text) {
  bool first = true;
  return changed(text, [&](std::string& out, char32_t code) {
    append_title(out, code, std::exchange(first, false));
  });
}

std::string title(std::string_view text) {
  bool inside = false;
  return changed(text, [&](std::string& out, char32_t code) {
    append_title(out, code, !inside);
    inside = is_cased(code);
  });
}

std::size_t find_part(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size() || part.size() > text.size() - from) return std::string_view::npos;
  if (part.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t find_last_part(std::string_view text, std::string_view part) {
  const std::string back_text(text.rbegin(), text.rend()), back_part(part.rbegin(), part.rend());
  const std::size_t found = find_part(back_text, back_part);
  return found == std::string_view::npos ? found : text.size() - part.size() - found;
}

void split_lines(std::string_view text, bool keep_ends,
                 const std::function<void(std::string_view)>& tell) {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto front = utf8::read_front(text.substr(at));
    const char32_t code = front.code;
    const bool ends = (code >= 10 && code <= 13) || (code >= 0x1c && code <= 0x1e) ||
                      code == 0x85 || code == 0x2028 || code == 0x2029;
    std::size_t next = at + front.size;
    if (code == '\r' && next < text.size() && text[next] == '\n') ++next;
    if (ends) {
      tell(text.substr(begin, (keep_ends ? next : at) - begin));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) tell(text.substr(begin));
}

}  // namespace troupe::kernels::chat
