#include "kernels/chat_template/text_splitting.hpp"

#include <algorithm>

#include "kernels/chat_template/arguments.hpp"
#include "kernels/chat_template/characters.hpp"
#include "kernels/chat_template/value_rules.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::chat {

namespace {

using pieces = std::vector<std::string_view>;

// All non-overlapping places of `part`, from the left; from the right they may differ ("aa" in
// "aaa"), so the text is searched backwards for those.
pieces split_at(std::string_view text, std::string_view part, std::int64_t most) {
  pieces made;
  std::size_t at = 0;
  for (; most != 0; --most) {
    const std::size_t found = find_part(text, part, at);
    if (found == text.npos) break;
    made.push_back(text.substr(at, found - at));
    at = found + part.size();
  }
  made.push_back(text.substr(at));
  return made;
}

// Python's find from the right, linear: the reversed part in the reversed text.
pieces split_at_from_right(std::string_view text, std::string_view part, std::int64_t most) {
  const std::string back_text(text.rbegin(), text.rend()), back_part(part.rbegin(), part.rend());
  pieces made;
  std::size_t end = text.size();
  for (const std::string_view piece : split_at(back_text, back_part, most)) {
    made.push_back(text.substr(end - piece.size(), piece.size()));
    end -= std::min(end, piece.size() + part.size());
  }
  std::reverse(made.begin(), made.end());
  return made;
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

pieces split_words(std::string_view text, std::int64_t most) {
  pieces made;
  for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
    if (most-- == 0) {
      made.push_back(text);
      break;
    }
    const std::size_t size = word_size(text);
    made.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return made;
}

pieces split_words_from_right(std::string_view text, std::int64_t most) {
  pieces words = split_words(text, -1);
  if (most < 0 || words.size() <= static_cast<std::size_t>(most)) return words;
  const std::size_t kept = words.size() - static_cast<std::size_t>(most);
  if (kept == 0) return words;
  const std::string_view last = words[kept - 1];
  const auto size = static_cast<std::size_t>(last.data() + last.size() - text.data());
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(kept));
  words.insert(words.begin(), text.substr(0, size));
  return words;
}

value list_of_pieces(rendering& run, const pieces& from) {
  return run.list_of({from.begin(), from.end()});
}

value split_by(rendering& run, const value& self, const call_arguments& given, bool from_right) {
  const sorted_arguments sorted("split", given, {"sep", "maxsplit"});
  const auto text = std::get<std::string_view>(self);
  const std::int64_t most = sorted.integer("maxsplit", -1);
  run.spend(1 + text.size() / 4);
  const auto separator = sorted.optional_text("sep");
  if (!separator)
    return list_of_pieces(
        run, from_right ? split_words_from_right(text, most) : split_words(text, most));
  if (separator->empty()) fail("empty separator");
  return list_of_pieces(run, from_right ? split_at_from_right(text, *separator, most)
                                        : split_at(text, *separator, most));
}

value part(rendering& run, const value& self, const call_arguments& given, bool from_right) {
  const sorted_arguments sorted("partition", given, {"sep"});
  sorted.needed("sep");
  const auto text = std::get<std::string_view>(self);
  const std::string_view separator = sorted.text("sep", {});
  if (separator.empty()) fail("empty separator");
  run.spend(1 + text.size() / 4);
  const pieces two =
      from_right ? split_at_from_right(text, separator, 1) : split_at(text, separator, 1);
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
  return list_of_pieces(run, split_lines(text, sorted.truth("keepends", false)));
}

value partition_method(rendering& run, const value& self, const call_arguments& given) {
  return part(run, self, given, false);
}

value partition_from_right_method(rendering& run, const value& self, const call_arguments& given) {
  return part(run, self, given, true);
}

}  // namespace troupe::kernels::chat
