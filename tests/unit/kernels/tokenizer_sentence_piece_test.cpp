#include <doctest/doctest.h>

#include "tests/unit/kernels/tokenizer_sample.hpp"

using namespace tokenizer_sample;

namespace {

using many = std::vector<token_id>;

many ids_of(const tokenizer& words, std::string_view text, encode_options options = {}) {
  const auto ids = words.encode(text, options);
  REQUIRE_MESSAGE(ids, ids.failure().text());
  return *ids;
}

std::shared_ptr<const tokenizer> built(const sample& vocabulary) {
  const auto made = vocabulary.build();
  REQUIRE_MESSAGE(made, made.failure().text());
  return *made;
}

constexpr token_id mark = 259;
constexpr token_id byte_token(unsigned char value) {
  return 3 + value;
}

}  // namespace

TEST_CASE("pairs merge by score, the leftmost of equals first") {
  sample vocabulary = scored();
  const token_id a = vocabulary.add("a", normal, -9);
  const token_id b = vocabulary.add("b", normal, -9);
  const token_id ab = vocabulary.add("ab", normal, -2);
  const token_id ba = vocabulary.add("ba", normal, -1);
  const token_id aa = vocabulary.add("aa", normal, -3);
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "aba") == many{mark, a, ba});
  CHECK(ids_of(*words, "ab") == many{mark, ab});
  CHECK(ids_of(*words, "aaa") == many{mark, aa, a});
  CHECK(ids_of(*words, "bb") == many{mark, b, b});
  CHECK(words->kind() == "llama");
}

TEST_CASE("a character without a token becomes its bytes") {
  const auto words = built(scored());
  CHECK(ids_of(*words, "\u00e9") == many{mark, byte_token(0xC3), byte_token(0xA9)});
  CHECK(words->piece(byte_token(0xC3)) == "\xC3");
  CHECK(words->decode(ids_of(*words, "x \u6f22\n y ")) == "x \u6f22\n y ");
}

TEST_CASE(
    "without byte tokens the unknown token stands for the character, and without that it is "
    "refused") {
  sample vocabulary{.kind = "llama"};
  vocabulary.add("<unk>", unknown);
  vocabulary.add("\u2581");
  vocabulary.add("a");
  CHECK(ids_of(*built(vocabulary), "a\u6f22") == many{1, 2, 0});
  CHECK(built(vocabulary)->piece(0).empty());
  vocabulary.numbers = {{"tokenizer.ggml.unknown_token_id", 2}};
  CHECK(ids_of(*built(vocabulary), "a\u6f22") == many{1, 2, 2});
}

TEST_CASE("the space in front: put there by encode, taken away by decode") {
  sample vocabulary = scored();
  const token_id a = vocabulary.add("a");
  const token_id spaced = vocabulary.add(
      "\u2581"
      "a",
      normal, 5);
  CHECK(ids_of(*built(vocabulary), "a") == many{spaced});
  CHECK(ids_of(*built(vocabulary), " a") == many{mark, spaced});
  CHECK(built(vocabulary)->decode(many{spaced, spaced}) == "a a");
  CHECK(built(vocabulary)->decode(many{1, spaced}) == "a");
  CHECK(built(vocabulary)->piece(spaced) == " a");
  vocabulary.flags = {{"tokenizer.ggml.add_space_prefix", false}};
  CHECK(ids_of(*built(vocabulary), "a") == many{a});
  CHECK(built(vocabulary)->decode(many{spaced, spaced}) == " a a");
}

TEST_CASE("a space goes in front of the text behind a special token too") {
  sample vocabulary = scored();
  vocabulary.add("a");
  const token_id spaced = vocabulary.add(
      "\u2581"
      "a",
      normal, 5);
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "a</s>a", {.parse_special = true}) == many{spaced, 2, spaced});
  CHECK(ids_of(*words, "a", {.add_beginning = true}) == many{1, spaced});
  CHECK(ids_of(*words, "", {.add_beginning = true}) == many{1});
}

TEST_CASE("numbers of the kind's own stand where the file names none") {
  const auto words = built(scored());
  CHECK(words->beginning() == 1);
  CHECK(words->wants_beginning());
  CHECK(many(words->end_tokens().begin(), words->end_tokens().end()) == many{2});
}

TEST_CASE("a token that joins two words is found") {
  sample vocabulary = scored();
  vocabulary.add("a", normal, -9);
  vocabulary.add("b", normal, -9);
  const token_id joined = vocabulary.add("a\u2581", normal, 1);
  const token_id whole = vocabulary.add(
      "a\u2581"
      "b",
      normal, 2);
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "a b") == many{mark, whole});
  CHECK(ids_of(*words, "a a") == many{mark, joined, mark + 1});
}

TEST_CASE("Phi-3 strips white space behind its special tokens") {
  sample vocabulary = scored();
  const token_id a = vocabulary.add("a");
  const token_id user = vocabulary.add("<|user|>", control);
  const auto parsed = [&] {
    return ids_of(*built(vocabulary), "<|user|> \n a<s> a", {.parse_special = true});
  };
  const many plain = {user, mark, mark, byte_token('\n'), mark, a, 1, mark, mark, a};
  const many stripped = {user, mark, a, 1, mark, mark, a};
  CHECK(parsed() == plain);
  vocabulary.name = "Phi-3 mini";
  CHECK(parsed() == stripped);
}

TEST_CASE("a text of 300,000 characters merges without going over it again and again") {
  sample vocabulary = scored();
  std::string text = "a";
  token_id longest = vocabulary.add(text, normal, -100);
  for (int i = 0; i < 10; ++i) {
    text += text;
    longest = vocabulary.add(text, normal, static_cast<float>(-i));
  }
  const many ids = ids_of(*built(vocabulary), std::string(300 * 1024, 'a'));
  CHECK(ids.size() == 301);
  CHECK(ids.back() == longest);
}
