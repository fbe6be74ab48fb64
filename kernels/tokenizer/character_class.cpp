#include "kernels/tokenizer/character_class.hpp"

#include <utf8proc.h>

#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels {
namespace {

struct added_range {
  char32_t first;
  char32_t last;
  character_class kind;
};

constexpr added_range added_in_15_1[] = {
    {0x2FFC, 0x2FFF, character_class::symbol},
    {0x31EF, 0x31EF, character_class::symbol},
    {0x2EBF0, 0x2EE5D, character_class::letter},
};

bool is_white_space(char32_t code) {
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

}  // namespace

character_class class_of(char32_t code) {
  if (is_white_space(code)) return character_class::white_space;
  for (const added_range& range : added_in_15_1)
    if (code >= range.first && code <= range.last) return range.kind;
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
    return character_class::letter;
  if (category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME)
    return character_class::mark;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
    return character_class::number;
  if (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO)
    return character_class::punctuation;
  if (category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO)
    return character_class::symbol;
  return character_class::other;
}

void collapse(std::string_view text, std::string& collapsed) {
  collapsed.clear();
  while (!text.empty()) {
    const utf8::front next = utf8::read_front(text);
    collapsed +=
        next.code < 0x80 ? static_cast<char>(next.code) : static_cast<char>(class_of(next.code));
    text.remove_prefix(next.size);
  }
}

}  // namespace troupe::kernels
