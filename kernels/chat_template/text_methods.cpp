// Methods of texts that look at or change characters.
#include "kernels/chat_template/text_methods.hpp"

#include <algorithm>

#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/methods.hpp"
#include "kernels/chat_template/text_format.hpp"
#include "kernels/chat_template/text_splitting.hpp"
#include "kernels/chat_template/value_rules.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

std::string_view self_text(const value& self) {
  return std::get<std::string_view>(self);
}

template <std::string (*change)(std::string_view)>
value changed(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("method", given, {});
  run.spend(self_text(self).size() / 4);
  return run.keep(changed_text(run, change, self_text(self)));
}

std::string swapped_case(std::string_view text) {
  std::string out;
  for (std::size_t size = 0; !text.empty(); text.remove_prefix(size)) {
    const auto front = utf8::read_front(text);
    size = front.size;
    const std::string_view character = text.substr(0, size);
    out += is_upper(front.code) ? lower(character) : upper(character);
  }
  return out;
}

template <strip_side side>
value strip_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("strip", given, {"chars"});
  return stripped(run, self_text(self), sorted.optional_text("chars"), side);
}

value replace_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("replace", given, {"old", "new", "count"});
  sorted.needed("old"), sorted.needed("new");
  return replaced(run, self_text(self), sorted.text("old", {}), sorted.text("new", {}),
                  sorted.integer("count", -1));
}

template <bool at_end>
value affix_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted(at_end ? "endswith" : "startswith", given, {"prefix"});
  const std::string_view text = self_text(self);
  const value& wanted = sorted.needed("prefix");
  const sequence* several = as_sequence(wanted);
  const bool tuple = several && several->kind == sequence_kind::tuple;
  for (const value& one : tuple ? std::span<const value>(several->items) : std::span(&wanted, 1)) {
    if (!is_text(one))
      fail("startswith() and endswith() take a text or a tuple of texts, not " +
           std::string(type_name(one)));
    const auto part = std::get<std::string_view>(one);
    run.spend_on_text(part.size());
    if (at_end ? text.ends_with(part) : text.starts_with(part)) return true;
  }
  return false;
}

template <bool at_end>
value without_affix(rendering&, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("removeprefix", given, {"affix"});
  sorted.needed("affix");
  std::string_view text = self_text(self);
  const std::string_view part = sorted.text("affix", {});
  if (at_end && text.ends_with(part)) text.remove_suffix(part.size());
  if (!at_end && text.starts_with(part)) text.remove_prefix(part.size());
  return text;
}

template <bool backwards, bool needs>
value find_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("find", given, {"sub", "start", "end"});
  sorted.needed("sub");
  const value* start = sorted.find("start");
  const value* end = sorted.find("end");
  const value text =
      slice_of(run, self, start ? *start : none_value{}, end ? *end : none_value{}, none_value{});
  const std::string_view within = self_text(text), part = sorted.text("sub", {});
  run.spend_on_text(within.size());
  const memory_lease held(run, backwards ? within.size() + part.size() : 0);
  const std::size_t found = backwards ? find_last_part(within, part) : find_part(within, part);
  if (found == within.npos && needs) fail("substring not found");
  if (found == within.npos) return std::int64_t{-1};
  const std::size_t before = static_cast<std::size_t>(within.data() - self_text(self).data());
  return static_cast<std::int64_t>(
      count_characters(self_text(self).substr(0, (within.empty() ? 0 : before) + found)));
}

value count_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("count", given, {"sub"});
  const std::string_view text = self_text(self), part = sorted.text("sub", {});
  run.spend_on_text(text.size());
  if (part.empty()) return static_cast<std::int64_t>(count_characters(text) + 1);
  std::int64_t count = 0;
  for (std::size_t at = 0; (at = find_part(text, part, at)) != text.npos; at += part.size())
    ++count;
  return count;
}

value join_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("join", given, {"iterable"});
  text_builder out(run);
  bool first = true;
  for (const value& item : items_of(run, sorted.needed("iterable"))) {
    if (!is_text(item))
      fail("join() takes texts, not " + std::string(type_name(item)), "use the filter 'join'");
    if (!std::exchange(first, false)) out.add(self_text(self));
    out.add(self_text(item));
  }
  return out.finish();
}

template <bool (*belongs)(char32_t)>
value all_are(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("method", given, {});
  run.spend(self_text(self).size() / 4);
  const memory_lease held(run, self_text(self).size() * sizeof(char32_t));
  const std::u32string codes = codes_of(self_text(self));
  return !codes.empty() && std::all_of(codes.begin(), codes.end(), belongs);
}

bool is_letter_or_digit(char32_t code) {
  return is_word(code) && code != '_';
}

template <bool (*wrong)(char32_t)>
value has_case(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("method", given, {});
  run.spend(self_text(self).size() / 4);
  const memory_lease held(run, self_text(self).size() * sizeof(char32_t));
  const std::u32string codes = codes_of(self_text(self));
  return std::none_of(codes.begin(), codes.end(), wrong) &&
         std::any_of(codes.begin(), codes.end(), is_cased);
}

template <bool at_left>
value justified(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("ljust", given, {"width", "fillchar"});
  const auto length = static_cast<std::int64_t>(count_characters(self_text(self)));
  const std::int64_t blanks = std::max<std::int64_t>(sorted.integer("width", 0) - length, 0);
  text_builder out(run);
  if (!at_left) out.add(static_cast<std::size_t>(blanks), sorted.text("fillchar", " "));
  out.add(self_text(self));
  if (at_left) out.add(static_cast<std::size_t>(blanks), sorted.text("fillchar", " "));
  return out.finish();
}

value format_method(rendering& run, const value& self, const call_arguments& given) {
  return brace_format(run, self_text(self), given);
}

constexpr std::size_t strip_characters_max = 256;
constexpr std::size_t text_growth_max = 8;  // escapes and other cases, and the old text beside

value left_out(rendering&, const value&, const call_arguments&) {
  fail_unsupported("this method of str is not supported");
}

constexpr std::pair<std::string_view, builtin> rows[] = {
    {"upper", changed<upper>},
    {"lower", changed<lower>},
    {"casefold", changed<lower>},
    {"capitalize", changed<capitalize>},
    {"title", changed<title>},
    {"swapcase", changed<swapped_case>},
    {"strip", strip_method<strip_side::both>},
    {"lstrip", strip_method<strip_side::left>},
    {"rstrip", strip_method<strip_side::right>},
    {"replace", replace_method},
    {"startswith", affix_method<false>},
    {"endswith", affix_method<true>},
    {"removeprefix", without_affix<false>},
    {"removesuffix", without_affix<true>},
    {"find", find_method<false, false>},
    {"rfind", find_method<true, false>},
    {"index", find_method<false, true>},
    {"rindex", find_method<true, true>},
    {"count", count_method},
    {"join", join_method},
    {"split", split_method},
    {"rsplit", split_from_right_method},
    {"splitlines", split_lines_method},
    {"partition", partition_method},
    {"rpartition", partition_from_right_method},
    {"isspace", all_are<is_space>},
    {"isalpha", all_are<is_letter>},
    {"isdigit", all_are<is_decimal>},
    {"isdecimal", all_are<is_decimal>},
    {"isnumeric", all_are<is_decimal>},
    {"isalnum", all_are<is_letter_or_digit>},
    {"islower", has_case<is_upper>},
    {"isupper", has_case<is_lower>},
    {"ljust", justified<true>},
    {"rjust", justified<false>},
    {"format", format_method},
    {"center", left_out},
    {"encode", left_out},
    {"expandtabs", left_out},
    {"format_map", left_out},
    {"isascii", left_out},
    {"isidentifier", left_out},
    {"isprintable", left_out},
    {"istitle", left_out},
    {"translate", left_out},
    {"zfill", left_out},
};

}  // namespace

std::string changed_text(rendering& run, std::string (*change)(std::string_view),
                         std::string_view text) {
  const memory_lease held(run, text.size() * text_growth_max);
  return change(text);
}

value stripped(rendering& run, std::string_view text, std::optional<std::string_view> characters,
               strip_side side) {
  if (characters && characters->size() > strip_characters_max)
    fail_unsupported("strip() of more than " + std::to_string(strip_characters_max) +
                     " bytes of characters is not supported");
  const std::size_t before = text.size();
  if (side != strip_side::right)
    text = characters ? strip_left(text, *characters) : strip_left(text);
  if (side != strip_side::left)
    text = characters ? strip_right(text, *characters) : strip_right(text);
  run.spend(1 + (before - text.size()) / 4);
  return text;
}

value replaced(rendering& run, std::string_view text, std::string_view old, std::string_view fresh,
               std::int64_t count) {
  run.spend_on_text(text.size());
  text_builder out(run);
  std::size_t at = 0;
  for (; count != 0; --count) {
    const std::size_t found = find_part(text, old, at);
    if (found == text.npos) break;
    out.add(text.substr(at, found - at)).add(fresh);
    at = found + old.size();
    if (!old.empty()) continue;
    if (at == text.size()) break;
    const std::size_t next = byte_of(text.substr(at), 1);
    out.add(text.substr(at, next));
    at += next;
  }
  return out.add(text.substr(at)).finish();
}

value centered(rendering& run, std::string_view text, std::int64_t width, std::string_view fill) {
  const auto length = static_cast<std::int64_t>(count_characters(text));
  const std::int64_t blanks = std::max<std::int64_t>(width - length, 0);
  const std::int64_t left = blanks / 2 + (blanks & width & 1);
  text_builder out(run);
  out.add(static_cast<std::size_t>(left), fill).add(text);
  return out.add(static_cast<std::size_t>(blanks - left), fill).finish();
}

builtin find_text_method(std::string_view name) {
  for (const auto& [known, method] : rows)
    if (known == name) return method;
  return nullptr;
}

}  // namespace troupe::kernels::chat
