#include <doctest/doctest.h>

#include "tests/unit/kernels/tokenizer_sample.hpp"

using namespace tokenizer_sample;

namespace {

std::vector<token_id> ids_of(const tokenizer& words, std::string_view text,
                             encode_options options = {}) {
  const auto ids = words.encode(text, options);
  REQUIRE(ids);
  return *ids;
}

std::shared_ptr<const tokenizer> built(const sample& vocabulary) {
  const auto made = vocabulary.build();
  REQUIRE_MESSAGE(made, made.failure().text());
  return *made;
}

using many = std::vector<token_id>;

}  // namespace

TEST_CASE("pairs merge by rank, the leftmost of equals first") {
  sample vocabulary = byte_level();
  const token_id bc = vocabulary.merge("b", "c");
  const token_id ab = vocabulary.merge("a", "b");
  const token_id abab = vocabulary.merge("ab", "ab");
  const token_id aa = vocabulary.merge("a", "a");
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "abc") == many{'a', bc});
  CHECK(ids_of(*words, "abab") == many{abab});
  CHECK(ids_of(*words, "ababab") == many{abab, ab});
  CHECK(ids_of(*words, "aaa") == many{aa, 'a'});
  CHECK(ids_of(*words, "").empty());
  CHECK(words->kind() == "gpt2");
  CHECK(words->pre_tokenizer() == "gpt-2");
}

TEST_CASE("no merge crosses the border of two words") {
  sample vocabulary = byte_level();
  const token_id crossing = vocabulary.merge("a", " ");
  const token_id fitting = vocabulary.merge(" ", "b");
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "a b") == many{'a', fitting});
  CHECK(words->piece(crossing) == "a ");
}

TEST_CASE("a word that is a token is taken whole only where the pre-tokenizer says so") {
  for (const auto& [pre, whole] : {std::pair{"llama-bpe", true}, std::pair{"gpt-2", false}}) {
    sample vocabulary = byte_level(pre);
    const token_id word = vocabulary.add("word");
    const auto words = built(vocabulary);
    CHECK(ids_of(*words, "word") == (whole ? many{word} : many{'w', 'o', 'r', 'd'}));
  }
}

TEST_CASE("a merge whose text is no token is taken apart again") {
  sample vocabulary = byte_level();
  vocabulary.merges.push_back("a b");
  vocabulary.merges.push_back("ab c");
  const token_id abcd = vocabulary.add("abcd");
  vocabulary.merges.push_back("abc d");
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "abc") == many{'a', 'b', 'c'});
  CHECK(ids_of(*words, "abcd") == many{abcd});
}

TEST_CASE("merges without two parts mean nothing") {
  sample vocabulary = byte_level();
  vocabulary.merges = {"", "ab", " ", "a ", " a"};
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "ab") == many{'a', 'b'});
}

TEST_CASE("of equal texts the first token counts") {
  sample vocabulary = byte_level();
  const token_id first = vocabulary.merge("x", "y");
  const token_id second = vocabulary.merge("x", "y");
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "xy") == many{first});
  CHECK(words->piece(second) == "xy");
}

TEST_CASE("special texts: control tokens on demand, user-defined tokens always") {
  const auto words = built(byte_level());
  CHECK(ids_of(*words, "a<|im_end|>", {.parse_special = true}) == many{'a', 257});
  CHECK(ids_of(*words, "a<|im_end|>").size() == 11);
  CHECK(ids_of(*words, "a<tool>b") == many{'a', 258, 'b'});
  CHECK(words->piece(257).empty());
  CHECK(words->piece(257, true) == "<|im_end|>");
  CHECK(words->piece(258) == "<tool>");
  CHECK(words->piece(-1).empty());
  CHECK(words->piece(100000).empty());
}

TEST_CASE("of special texts the longest goes first, wherever it stands") {
  sample vocabulary = byte_level();
  const token_id two = vocabulary.add("ab", user_defined);
  const token_id four = vocabulary.add("bcde", user_defined);
  const auto words = built(vocabulary);
  CHECK(ids_of(*words, "abcde") == many{'a', four});
  CHECK(ids_of(*words, "abcabab") == many{two, 'c', two, two});
}

TEST_CASE("the beginning: the file's word, else the pre-tokenizer's") {
  sample vocabulary = byte_level();
  CHECK_FALSE(built(vocabulary)->wants_beginning());
  CHECK(ids_of(*built(vocabulary), "a", {.add_beginning = true}) == many{'a'});
  vocabulary.flags = {{"tokenizer.ggml.add_bos_token", true}};
  CHECK(ids_of(*built(vocabulary), "a", {.add_beginning = true}) == many{256, 'a'});
  CHECK(ids_of(*built(vocabulary), "a") == many{'a'});
  vocabulary.pre = "llama-bpe";
  vocabulary.flags.clear();
  CHECK(built(vocabulary)->wants_beginning());
  vocabulary.flags = {{"tokenizer.ggml.add_bos_token", false}};
  CHECK_FALSE(built(vocabulary)->wants_beginning());
}

TEST_CASE("end tokens: by key and by text") {
  sample vocabulary = byte_level();
  vocabulary.numbers.push_back({"tokenizer.ggml.eot_token_id", 'q'});
  const auto words = built(vocabulary);
  CHECK(many(words->end_tokens().begin(), words->end_tokens().end()) == many{'q', 256, 257});
}

TEST_CASE("in the harmony format <|end|> is a word among others") {
  sample vocabulary = byte_level();
  const token_id end = vocabulary.add("<|end|>", control);
  const token_id give_back = vocabulary.add("<|return|>", control);
  const auto ends = [&] {
    const auto words = built(vocabulary);
    return many(words->end_tokens().begin(), words->end_tokens().end());
  };
  CHECK(ends() == many{256, 257, end, give_back});
  const token_id call = vocabulary.add("<|call|>", control);
  CHECK(ends() == many{256, 257, give_back, call});
}

TEST_CASE("bytes that a vocabulary lacks are left out") {
  sample vocabulary = byte_level();
  vocabulary.texts['b'] = "elsewhere";
  CHECK(ids_of(*built(vocabulary), "abc") == many{'a', 'c'});
}

TEST_CASE("every string of bytes in UTF-8 comes back") {
  const auto words = built(byte_level());
  std::string text = "na\u00efve \u6f22\u5b57 \U0001F642\u200d \t\r\n\u00a0";
  text += '\0';
  CHECK(words->decode(ids_of(*words, text)) == text);
}

TEST_CASE("a word of 300,000 characters merges without going over it again and again") {
  sample vocabulary = byte_level();
  std::string left = "a";
  token_id longest = 'a';
  for (int i = 0; i < 10; ++i, left += left) longest = vocabulary.merge(left, left);
  const auto words = built(vocabulary);
  const auto ids = ids_of(*words, std::string(300 * 1024, 'a'));
  CHECK(ids == many(300, longest));
}

TEST_CASE("what encode refuses") {
  const auto words = built(byte_level());
  for (const std::string_view text :
       {"ab\xFF", "ab\xC3", "ab\xED\xA0\x80", "ab\xC0\x80", "ab\xF4\x90\x80\x80"}) {
    const auto refused = words->encode(text, {});
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().code == error_code::invalid_argument);
    CHECK(refused.failure().message.find("byte 2") != std::string::npos);
  }
  const auto long_text = words->encode(std::string(encode_bytes_max + 1, ' '), {});
  REQUIRE_FALSE(long_text);
  CHECK(long_text.failure().code == error_code::invalid_argument);
  CHECK(long_text.failure().message.find("16777216") != std::string::npos);
}

TEST_CASE("vocabularies that are refused, and why") {
  const auto refused = [](const sample& vocabulary, error_code code, std::string_view word) {
    const auto made = vocabulary.build();
    REQUIRE_FALSE(made);
    CHECK(made.failure().code == code);
    CHECK_MESSAGE(made.failure().text().find(word) != std::string::npos, made.failure().text());
  };
  sample vocabulary = byte_level("no-such-row");
  refused(vocabulary, error_code::unsupported, "no-such-row");
  refused(vocabulary, error_code::unsupported, "deepseek-coder");
  vocabulary = byte_level();
  vocabulary.kind = "t5";
  refused(vocabulary, error_code::unsupported, "t5");
  vocabulary.kind = "";
  refused(vocabulary, error_code::data_corrupt, "tokenizer.ggml.model");
  vocabulary = byte_level();
  vocabulary.kinds.pop_back();
  refused(vocabulary, error_code::data_corrupt, "token_type");
  vocabulary = byte_level();
  vocabulary.scores[3] = std::numeric_limits<float>::quiet_NaN();
  refused(vocabulary, error_code::data_corrupt, "token 3");
  vocabulary = byte_level();
  vocabulary.numbers = {{"tokenizer.ggml.eos_token_id", 100000}};
  refused(vocabulary, error_code::data_corrupt, "100000");
  vocabulary = byte_level();
  vocabulary.numbers.clear();
  vocabulary.flags = {{"tokenizer.ggml.add_bos_token", true}};
  refused(vocabulary, error_code::data_corrupt, "bos_token_id");
  refused(sample{.kind = "gpt2", .pre = "gpt-2"}, error_code::data_corrupt,
          "tokenizer.ggml.tokens");
}

TEST_CASE("the digest tells vocabularies apart and nothing else") {
  const sample vocabulary = byte_level();
  const std::string digest = built(vocabulary)->digest();
  CHECK(digest.size() == 64);
  CHECK(built(vocabulary)->digest() == digest);
  const auto differs = [&](auto change) {
    sample other = vocabulary;
    change(other);
    return built(other)->digest() != digest;
  };
  CHECK(differs([](sample& s) { s.texts[258] = "<tools>"; }));
  CHECK(differs([](sample& s) { s.kinds[258] = control; }));
  CHECK(differs([](sample& s) { s.merges.push_back("a b"); }));
  CHECK(differs([](sample& s) { s.pre = "qwen2"; }));
  CHECK(differs([](sample& s) { s.numbers[0].second = 257; }));
  CHECK(differs([](sample& s) { s.flags = {{"tokenizer.ggml.add_bos_token", true}}; }));
  CHECK_FALSE(differs([](sample& s) { s.name = "another name"; }));
}
