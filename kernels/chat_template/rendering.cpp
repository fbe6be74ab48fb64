#include "kernels/chat_template/rendering.hpp"

#include <algorithm>

namespace troupe::kernels::chat {

namespace {

constexpr std::string_view mend_of_bounds =
    "the template does too much for one prompt, or the conversation is too long for it";

[[noreturn]] void fail_bound(std::string_view what, std::size_t most) {
  fail("the chat template needs more than " + std::to_string(most) + " " + std::string(what),
       std::string(mend_of_bounds));
}

}  // namespace

void rendering::spend(std::size_t steps) {
  steps_ += steps;
  if (steps_ > bounds.steps) fail_bound("steps", bounds.steps);
}

void rendering::take_turn() {
  if (++turns_ > bounds.loop_turns) fail_bound("turns of loops", bounds.loop_turns);
}

void rendering::spend_memory(std::size_t bytes) {
  if (bytes > bounds.memory_bytes - memory_bytes_)
    fail_bound("bytes of memory", bounds.memory_bytes);
  memory_bytes_ += bytes;
}

std::string_view rendering::keep(std::string text) {
  spend_memory(text.capacity() + sizeof(text));
  return texts_.emplace_back(std::move(text));
}

sequence* rendering::make_sequence(sequence_kind kind, std::vector<value> items,
                                   std::string_view label) {
  spend(1 + items.size() / 4);
  spend_memory(sizeof(sequence) + items.capacity() * sizeof(value));
  return &sequences_.emplace_back(sequence{kind, std::move(items), 0, label});
}

mapping* rendering::make_mapping(std::vector<std::pair<value, value>> entries) {
  spend(1 + entries.size() / 4);
  spend_memory(sizeof(mapping) + entries.capacity() * 2 * sizeof(value));
  return &mappings_.emplace_back(mapping{std::move(entries)});
}

name_space* rendering::make_name_space() {
  spend_memory(sizeof(name_space));
  return &name_spaces_.emplace_back();
}

callable* rendering::make_callable(callable made) {
  spend_memory(sizeof(callable));
  return &callables_.emplace_back(std::move(made));
}

loop_state* rendering::make_loop(loop_state made) {
  spend_memory(sizeof(loop_state));
  return &loops_.emplace_back(std::move(made));
}

scope* rendering::make_scope(scope* outer) {
  spend_memory(sizeof(scope) + 4 * sizeof(value));
  scope& made = scopes_.emplace_back();
  made.outer = outer;
  return &made;
}

void text_builder::make_room(std::size_t bytes) {
  const std::size_t before = paid_;
  run_.spend_memory(bytes);
  paid_ += bytes;
  text_.reserve(bytes);
  run_.give_back(before);
  paid_ -= before;
}

text_builder& text_builder::add(std::string_view piece) {
  run_.spend_on_text(piece.size());
  if (piece.size() > run_.bounds.text_bytes - text_.size())
    fail_bound("bytes in one text", run_.bounds.text_bytes);
  if (piece.size() > text_.capacity() - text_.size())
    make_room(std::max(text_.size() + piece.size(), 2 * text_.size()));
  text_ += piece;
  return *this;
}

text_builder& text_builder::add(std::size_t times, std::string_view piece) {
  if (piece.empty()) return *this;
  if (times > run_.bounds.text_bytes / piece.size())
    fail_bound("bytes in one text", run_.bounds.text_bytes);
  for (; times > 0; --times) add(piece);
  return *this;
}

}  // namespace troupe::kernels::chat
