// Filters that give a text.
#include <algorithm>

#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/attribute_path.hpp"
#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/filters.hpp"
#include "kernels/chat_template/json_text.hpp"
#include "kernels/chat_template/text_format.hpp"
#include "kernels/chat_template/text_methods.hpp"
#include "kernels/chat_template/value_rules.hpp"
#include "kernels/chat_template/value_text.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

// A filter without arguments that changes a text by `change`.
template <std::string (*change)(std::string_view)>
value plain_change(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("filter", given, {});
  const std::string_view text = text_of_value(run, self);
  run.spend(text.size() / 4);
  return run.keep(changed_text(run, change, text));
}

value filter_string(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("string", given, {});
  return text_of_value(run, self);
}

value filter_trim(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("trim", given, {"chars"});
  return stripped(run, text_of_value(run, self), sorted.optional_text("chars"), strip_side::both);
}

// Words begin after blanks, dashes and opening brackets.
std::string title_of(std::string_view text) {
  std::string out;
  bool begins = true;
  for (std::size_t size = 0; !text.empty(); text.remove_prefix(size)) {
    const auto front = utf8::read_front(text);
    size = front.size;
    const std::string_view character = text.substr(0, size);
    out += begins ? upper(character) : lower(character);
    begins = is_space(front.code) || character.find_first_of("-({[<") == 0;
  }
  return out;
}

std::string escape_of(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

value filter_replace(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("replace", given, {"old", "new", "count"});
  const value* count = sorted.find("count");
  return replaced(run, text_of_value(run, self), text_of_value(run, sorted.needed("old")),
                  text_of_value(run, sorted.needed("new")),
                  count && !is_none(*count) ? sorted.integer("count", -1) : -1);
}

value filter_join(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("join", given, {"d", "attribute"});
  const value* d = sorted.find("d");
  const std::string_view between = d ? text_of_value(run, *d) : std::string_view();
  const value* attribute = sorted.find("attribute");
  if (attribute && is_none(*attribute)) attribute = nullptr;
  text_builder out(run);
  bool first = true;
  for (const value& item : items_of(run, self)) {
    if (!std::exchange(first, false)) out.add(between);
    add_text(out, attribute ? at_path(run, item, *attribute) : item);
  }
  return out.finish();
}

value filter_indent(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("indent", given, {"width", "first", "blank"});
  const value* width = sorted.find("width");
  text_builder made(run);
  if (width && is_text(*width))
    made.add(std::get<std::string_view>(*width));
  else
    made.add(static_cast<std::size_t>(std::max<std::int64_t>(sorted.integer("width", 4), 0)), " ");
  const std::string indention = made.take();
  const bool blank = sorted.truth("blank", false);
  text_builder out(run);
  if (is_undefined(self)) fail_undefined(self);
  if (!is_text(self)) fail("indent() needs a text, not " + std::string(type_name(self)));
  out.add(text_of_value(run, self)).add("\n");  // so that an end of line at the end is kept
  const std::string_view text = run.keep(out.take());
  bool first = true;
  split_lines(text, false, [&](std::string_view line) {
    const bool before = first ? sorted.truth("first", false) : (blank || !line.empty());
    if (!std::exchange(first, false)) out.add("\n");
    if (before) out.add(indention);
    out.add(line);
  });
  return out.finish();
}

value filter_center(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("center", given, {"width"});
  return centered(run, text_of_value(run, self), sorted.integer("width", 80), " ");
}

value filter_truncate(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("truncate", given, {"length", "killwords", "end", "leeway"});
  const std::string_view end = sorted.text("end", "...");
  const std::int64_t most = sorted.integer("length", 255);
  const value* named = sorted.find("leeway");
  const std::int64_t leeway = named && !is_none(*named) ? sorted.integer("leeway", 5) : 5;
  const auto end_length = static_cast<std::int64_t>(count_characters(end));
  if (most < end_length || leeway < 0) fail("truncate(): 'length' or 'leeway' is too small");
  if (static_cast<std::int64_t>(length_of(run, self)) - leeway <= most) return self;
  if (!is_text(self)) fail("truncate() needs a text, not " + std::string(type_name(self)));
  const auto text = std::get<std::string_view>(self);
  const auto kept_length = static_cast<std::size_t>(most - end_length);
  std::string_view kept = text.substr(0, byte_of(text, kept_length));
  if (!sorted.truth("killwords", false))
    kept = kept.substr(0, std::min(kept.rfind(' '), kept.size()));
  text_builder out(run);
  out.add(kept).add(end);
  return out.finish();
}

value filter_format(rendering& run, const value& self, const call_arguments& given) {
  if (!given.named.empty()) fail_unsupported("format() with names is not supported as a filter");
  return percent_format(run, text_of_value(run, self), given.positional);
}

value filter_tojson(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("tojson", given,
                                {"ensure_ascii", "indent", "separators", "sort_keys"});
  json_style style;
  style.only_ascii = sorted.truth("ensure_ascii", false);
  style.sort_keys = sorted.truth("sort_keys", false);
  const value* indent = sorted.find("indent");
  if (indent && is_text(*indent)) {
    style.indent = std::string(std::get<std::string_view>(*indent));
  } else if (indent && !is_none(*indent)) {
    text_builder blanks(run);
    blanks.add(static_cast<std::size_t>(std::max<std::int64_t>(sorted.integer("indent", 0), 0)),
               " ");
    style.indent = blanks.take();
  }
  if (style.indent) style.item_separator = ",";
  if (const value* separators = sorted.find("separators"); separators && !is_none(*separators)) {
    const auto parts = items_of(run, *separators);
    if (parts.size() != 2 || !is_text(parts[0]) || !is_text(parts[1]))
      fail("tojson(): 'separators' has to be two texts");
    style.item_separator = std::get<std::string_view>(parts[0]);
    style.key_separator = std::get<std::string_view>(parts[1]);
  }
  text_builder out(run);
  add_json(out, self, style);
  return out.finish();
}

value filter_wordcount(rendering& run, const value& self, const call_arguments& given) {
  sorted_arguments("wordcount", given, {});
  const std::string_view text = text_of_value(run, self);
  run.spend(text.size() / 4);
  const memory_lease held(run, text.size() * sizeof(char32_t));
  std::int64_t words = 0;
  bool inside = false;
  for (const char32_t code : codes_of(text)) {
    words += is_word(code) && !inside ? 1 : 0;
    inside = is_word(code);
  }
  return words;
}

constexpr filter_row rows[] = {
    {"string", filter_string},
    {"safe", filter_string},
    {"trim", filter_trim},
    {"upper", plain_change<upper>},
    {"lower", plain_change<lower>},
    {"capitalize", plain_change<capitalize>},
    {"title", plain_change<title_of>},
    {"escape", plain_change<escape_of>},
    {"e", plain_change<escape_of>},
    {"forceescape", plain_change<escape_of>},
    {"replace", filter_replace},
    {"join", filter_join},
    {"indent", filter_indent},
    {"center", filter_center},
    {"truncate", filter_truncate},
    {"format", filter_format},
    {"tojson", filter_tojson},
    {"wordcount", filter_wordcount},
};

}  // namespace

std::span<const filter_row> text_filters() {
  return rows;
}

}  // namespace troupe::kernels::chat
