#include "kernels/tokenizer/vocabulary_tokenizer.hpp"

#include <bit>

#include "kernels/tokenizer/utf8.hpp"

namespace troupe::kernels {

result<std::vector<token_id>> vocabulary_tokenizer::encode(std::string_view text,
                                                           encode_options options) const {
  if (text.size() > encode_bytes_max)
    return error{error_code::invalid_argument,
                 "a text of " + std::to_string(text.size()) + " bytes, allowed are " +
                     std::to_string(encode_bytes_max),
                 "send it in smaller parts"};
  if (const auto invalid = utf8::find_invalid(text))
    return error{error_code::invalid_argument,
                 "the text is not UTF-8 at byte " + std::to_string(*invalid), "send valid UTF-8"};
  std::vector<token_id> ids;
  if (options.add_beginning && wants_beginning_) ids.push_back(*words_.beginning);
  bool after_special = true;
  for (const special_texts::fragment& fragment : specials_.split(text, options.parse_special)) {
    if (fragment.id >= 0) {
      ids.push_back(fragment.id);
    } else if (status done = encode_plain(fragment.text, after_special, ids); !done) {
      return done.failure();
    }
    after_special = fragment.id >= 0;
  }
  return ids;
}

std::string_view vocabulary_tokenizer::piece(token_id id, bool special) const {
  if (id < 0 || static_cast<std::size_t>(id) >= words_.size()) return {};
  const token_kind kind = words_.kinds[id];
  if (!special && (kind == token_kind::control || kind == token_kind::unknown)) return {};
  return pieces_[id];
}

std::string vocabulary_tokenizer::decode(std::span<const token_id> ids, bool special) const {
  std::string text;
  bool first = strips_first_space_;
  for (const token_id id : ids) {
    std::string_view next = piece(id, special);
    if (first && !next.empty()) {
      const token_kind kind = words_.kinds[id];
      const bool shown_alone = kind == token_kind::control || kind == token_kind::unknown;
      if (!shown_alone && kind != token_kind::user_defined && next[0] == ' ') next.remove_prefix(1);
      first = shown_alone;
    }
    text += next;
  }
  return text;
}

void vocabulary_tokenizer::make_pieces() {
  for (std::size_t i = 0; i < words_.size(); ++i) {
    const token_kind kind = words_.kinds[i];
    if (kind == token_kind::byte) {
      const char byte = static_cast<char>(named_byte(words_.texts[i]).value_or(0));
      pieces_.add({&byte, 1});
    } else if (kind == token_kind::normal || kind == token_kind::unused) {
      pieces_.add(normal_piece(static_cast<token_id>(i)));
    } else {
      pieces_.add(words_.texts[i]);
    }
  }
}

void vocabulary_tokenizer::add_to(digest_builder& digest) const {
  digest.add("troupe tokenizer 1");
  digest.add(kind());
  digest.add(std::uint64_t{words_.size()});
  for (std::size_t i = 0; i < words_.size(); ++i) {
    digest.add(words_.texts[i]);
    digest.add(static_cast<std::uint64_t>(words_.kinds[i]));
    digest.add(std::uint64_t{std::bit_cast<std::uint32_t>(words_.scores[i])});
    digest.add(static_cast<std::uint64_t>(words_.strips_right[i]));
  }
  // An absent number is 0, any other is one more than itself.
  digest.add(static_cast<std::uint64_t>(words_.beginning.value_or(-1) + 1));
  digest.add(static_cast<std::uint64_t>(words_.unknown.value_or(-1) + 1));
  digest.add(std::uint64_t{words_.ends.size()});
  for (const token_id id : words_.ends) digest.add(static_cast<std::uint64_t>(id));
  digest.add(static_cast<std::uint64_t>(wants_beginning_));
  digest.add(static_cast<std::uint64_t>(strips_first_space_));
}

}  // namespace troupe::kernels
