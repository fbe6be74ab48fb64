#include "kernels/constraint/pattern.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "kernels/constraint/pattern_reading.hpp"
#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels::constraint {
namespace {

// Puts a parsed pattern into a draft, piece by piece.
class pattern_writer {
 public:
  pattern_writer(automaton_draft& draft, text_form form) : draft_(draft), form_(form) {}

  // Gives the state where the piece ends.
  state_id write(const pattern_piece& piece, state_id from) {
    if (draft_.too_large()) return from;
    switch (piece.kind) {
      case pattern_piece::form::characters: {
        const state_id to = draft_.add_state();
        for (const auto& [low, high] : piece.ranges) write_range(from, low, high, to);
        return to;
      }
      case pattern_piece::form::sequence:
        for (const pattern_piece& part : piece.parts) from = write(part, from);
        return from;
      case pattern_piece::form::choice: {
        const state_id to = draft_.add_state();
        for (const pattern_piece& part : piece.parts) {
          const state_id begin = draft_.add_state();
          draft_.add_empty(from, begin);
          draft_.add_empty(write(part, begin), to);
        }
        return to;
      }
      case pattern_piece::form::repeat:
        break;
    }
    return write_repeat(piece, from);
  }

  state_id write_anything(state_id from) {
    const state_id loop = draft_.add_state();
    draft_.add_empty(from, loop);
    write_range(loop, 0, 0x10FFFF, loop);
    return loop;
  }

 private:
  state_id write_repeat(const pattern_piece& piece, state_id from) {
    const pattern_piece& part = piece.parts[0];
    for (std::uint32_t i = 0; i < piece.least && !draft_.too_large(); ++i) from = write(part, from);
    const state_id end = draft_.add_state();
    if (piece.most == length_bounds::none) {
      const state_id loop = draft_.add_state();
      draft_.add_empty(from, loop);
      draft_.add_empty(write(part, loop), loop);
      draft_.add_empty(loop, end);
      return end;
    }
    for (std::uint32_t i = piece.least; i < piece.most && !draft_.too_large(); ++i) {
      draft_.add_empty(from, end);
      from = write(part, from);
    }
    draft_.add_empty(from, end);
    return end;
  }

  void write_range(state_id from, char32_t low, char32_t high, state_id to) {
    if (form_ == text_form::plain) return add_utf8(draft_, from, low, high, to);
    constexpr std::string_view escaped = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
    for (std::size_t i = 0; i < escaped.size(); ++i) {
      const auto code = static_cast<unsigned char>(escaped[i]);
      if (code < low || code > high) continue;
      const state_id slash = draft_.add_state();
      draft_.add_byte(from, '\\', slash);
      draft_.add_byte(slash, letters[i], to);
    }
    constexpr std::pair<char32_t, char32_t> bare[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}};
    for (const auto& [first, last] : bare)
      if (std::max(first, low) <= std::min(last, high))
        add_utf8(draft_, from, std::max(first, low), std::min(last, high), to);
  }

  automaton_draft& draft_;
  text_form form_;
};

}  // namespace

void add_utf8(automaton_draft& draft, state_id from, char32_t low, char32_t high, state_id to,
              edge marks) {
  // Cut where the number of bytes changes, at the surrogates, and where a later byte does not run
  // through its whole range.
  for (const char32_t last : {0x7Fu, 0x7FFu, 0xD7FFu, 0xDFFFu, 0xFFFFu})
    if (low <= last && high > last) {
      add_utf8(draft, from, low, last, to, marks);
      return add_utf8(draft, from, last + 1, high, to, marks);
    }
  if (low >= 0xD800 && high <= 0xDFFF) return;
  if (high < 0x80) return draft.add_bytes(from, low, high, to, marks);
  for (unsigned shift = 6; shift <= 18; shift += 6) {
    const char32_t rest = (char32_t{1} << shift) - 1;
    if ((low | rest) == (high | rest)) continue;
    if (low & rest) {
      add_utf8(draft, from, low, low | rest, to, marks);
      return add_utf8(draft, from, (low | rest) + 1, high, to, marks);
    }
    if ((high & rest) != rest) {
      add_utf8(draft, from, low, (high & ~rest) - 1, to, marks);
      return add_utf8(draft, from, high & ~rest, high, to, marks);
    }
  }
  std::string first, last;
  utf8::append(first, low);
  utf8::append(last, high);
  for (std::size_t i = 0; i < first.size(); ++i) {
    const state_id next = i + 1 == first.size() ? to : draft.add_state();
    draft.add_bytes(from, static_cast<unsigned char>(first[i]), static_cast<unsigned char>(last[i]),
                    next, i == 0 ? marks : 0);
    from = next;
  }
}

result<automaton> compile_pattern(std::string_view pattern, text_form form,
                                  std::size_t states_max) {
  const result<pattern_alternatives> read = read_pattern(pattern);
  if (!read) return read.failure();
  automaton_draft draft(states_max);
  pattern_writer writer(draft, form);
  const state_id begin = draft.add_state();
  const state_id end = draft.add_state();
  const state_id done = draft.add_state();
  draft.accept(done);
  if (form == text_form::json_text) {
    draft.add_byte(0, '"', begin);
    draft.add_byte(end, '"', done);
  } else {
    draft.add_empty(0, begin);
    draft.add_empty(end, done);
  }
  for (const pattern_alternative& alternative : *read) {
    state_id at = draft.add_state();
    draft.add_empty(begin, at);
    if (!alternative.from_beginning) at = writer.write_anything(at);
    at = writer.write(alternative.piece, at);
    if (!alternative.to_end) at = writer.write_anything(at);
    draft.add_empty(at, end);
  }
  return determinize(draft, states_max);
}

result<automaton> limit_length(const automaton& texts, length_bounds bounds,
                               std::size_t states_max) {
  enum class place : std::uint8_t { before, between, escape, rest1, rest2, rest3, after };
  using key = std::tuple<state_id, place, std::uint32_t>;
  const auto next = [&](key k, unsigned char byte) -> std::optional<key> {
    auto& [state, at, count] = k;
    const edge e = texts.rows[state][byte];
    if (!e) return std::nullopt;
    state = target_of(e);
    switch (at) {
      case place::before:
        at = place::between;
        return k;
      case place::escape:
      case place::rest1:
        at = place::between;
        return k;
      case place::rest2:
        at = place::rest1;
        return k;
      case place::rest3:
        at = place::rest2;
        return k;
      case place::after:
        return std::nullopt;
      case place::between:
        break;
    }
    if (byte == '"') {
      if (count < bounds.least) return std::nullopt;
      return key{state, place::after, 0};
    }
    if (count == bounds.most) return std::nullopt;
    count = bounds.most == length_bounds::none ? std::min(count + 1, bounds.least) : count + 1;
    at = byte == '\\'  ? place::escape
         : byte < 0x80 ? place::between
         : byte < 0xE0 ? place::rest1
         : byte < 0xF0 ? place::rest2
                       : place::rest3;
    return k;
  };
  const auto accepts = [&](const key& k) {
    return std::get<1>(k) == place::after && texts.accepts[std::get<0>(k)];
  };
  result<automaton> limited = explore(key{0, place::before, 0}, next, accepts, states_max);
  if (limited) limited->steps += texts.steps;
  return limited;
}

}  // namespace troupe::kernels::constraint
