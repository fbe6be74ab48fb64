#include "kernels/chat_template/text_splitting.hpp"

#include <algorithm>

#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/value_rules.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

using pieces = working_list<std::string_view>;

// All non-overlapping places of `part`, from the left; from the right they may differ ("aa" in
// "aaa"), so the text is searched backwards for those.
void split_at(std::string_view text, std::string_view part, std::int64_t most, pieces& made) {
  std::size_t at = 0;
  for (; most != 0; --most) {
    const std::size_t found = find_part(text, part, at);
    if (found == text.npos) break;
    made.add(text.substr(at, found - at));
    at = found + part.size();
  }
  made.add(text.substr(at));
}

// Python's find from the right, linear: the reversed part in the reversed text.
void split_at_from_right(rendering& run, std::string_view text, std::string_view part,
                         std::int64_t most, pieces& made) {
  const memory_lease held(run, text.size() + part.size());
  const std::string back_text(text.rbegin(), text.rend()), back_part(part.rbegin(), part.rend());
  std::size_t end = text.size();
  pieces back(run);
  split_at(back_text, back_part, most, back);
  for (const std::string_view piece : back.items()) {
    made.add(text.substr(end - piece.size(), piece.size()));
    end -= std::min(end, piece.size() + part.size());
  }
  std::reverse(made.items().begin(), made.items().end());
}

std::size_t word_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    const auto front = utf8::read_front(text.substr(size));
    if (is_space(front.code)) break;
    size += front.size;
  }
  return size;
}

void split_words(std::string_view text, std::int64_t most, pieces& made) {
  for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
    if (most-- == 0) return made.add(text);
    const std::size_t size = word_size(text);
    made.add(text.substr(0, size));
    text.remove_prefix(size);
  }
}

void split_words_from_right(std::string_view text, std::int64_t most, pieces& made) {
  split_words(text, -1, made);
  std::vector<std::string_view>& words = made.items();
  if (most < 0 || words.size() <= static_cast<std::size_t>(most)) return;
  const std::size_t kept = words.size() - static_cast<std::size_t>(most);
  const std::string_view last = words[kept - 1];
  const auto size = static_cast<std::size_t>(last.data() + last.size() - text.data());
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(kept - 1));
  words.front() = text.substr(0, size);
}

value list_of_pieces(rendering& run, pieces& from) {
  value_builder items(run, from.items().size());
  for (const std::string_view piece : from.items()) items.add(piece);
  return run.list_of(items.take());
}

value split_by(rendering& run, const value& self, const call_arguments& given, bool from_right) {
  const sorted_arguments sorted("split", given, {"sep", "maxsplit"});
  const auto text = std::get<std::string_view>(self);
  const std::int64_t most = sorted.integer("maxsplit", -1);
  run.spend(1 + text.size() / 4);
  const auto separator = sorted.optional_text("sep");
  if (separator && separator->empty()) fail("empty separator");
  pieces made(run);
  if (!separator)
    from_right ? split_words_from_right(text, most, made) : split_words(text, most, made);
  else
    from_right ? split_at_from_right(run, text, *separator, most, made)
               : split_at(text, *separator, most, made);
  return list_of_pieces(run, made);
}

value part(rendering& run, const value& self, const call_arguments& given, bool from_right) {
  const sorted_arguments sorted("partition", given, {"sep"});
  sorted.needed("sep");
  const auto text = std::get<std::string_view>(self);
  const std::string_view separator = sorted.text("sep", {});
  if (separator.empty()) fail("empty separator");
  run.spend(1 + text.size() / 4);
  pieces made(run);
  from_right ? split_at_from_right(run, text, separator, 1, made)
             : split_at(text, separator, 1, made);
  const std::vector<std::string_view>& two = made.items();
  const std::string_view none;
  std::vector<value> three;
  if (two.size() == 2)
    three = {two[0], separator, two[1]};
  else if (from_right)
    three = {none, none, text};
  else
    three = {text, none, none};
  return run.make_sequence(sequence_kind::tuple, std::move(three));
}

}  // namespace

value split_method(rendering& run, const value& self, const call_arguments& given) {
  return split_by(run, self, given, false);
}

value split_from_right_method(rendering& run, const value& self, const call_arguments& given) {
  return split_by(run, self, given, true);
}

value split_lines_method(rendering& run, const value& self, const call_arguments& given) {
  const sorted_arguments sorted("splitlines", given, {"keepends"});
  const auto text = std::get<std::string_view>(self);
  run.spend(1 + text.size() / 4);
  pieces lines(run);
  split_lines(text, sorted.truth("keepends", false),
              [&](std::string_view line) { lines.add(line); });
  return list_of_pieces(run, lines);
}

value partition_method(rendering& run, const value& self, const call_arguments& given) {
  return part(run, self, given, false);
}

value partition_from_right_method(rendering& run, const value& self, const call_arguments& given) {
  return part(run, self, given, true);
}

}  // namespace troupe::kernels::chat
