#include <doctest/doctest.h>

#include "kernels/tokenizer/utf8.hpp"
#include "tests/unit/kernels/tokenizer_sample.hpp"

using namespace tokenizer_sample;

namespace {

std::shared_ptr<const tokenizer> built(const sample& vocabulary) {
  const auto made = vocabulary.build();
  REQUIRE(made);
  return *made;
}

}  // namespace

TEST_CASE("a stream holds back what may still become a character") {
  text_stream stream(built(byte_level()));
  CHECK(stream.push('a') == "a");
  CHECK(stream.push(0xF0) == "");
  CHECK(stream.push(0x9F) == "");
  CHECK(stream.push(0x99) == "");
  CHECK(stream.push(0x82) == "\U0001F642");
  CHECK(stream.finish() == "");
}

TEST_CASE("what can never become a character is given out as U+FFFD, one for each broken part") {
  text_stream stream(built(byte_level()));
  CHECK(stream.push(0xE2) == "");
  CHECK(stream.push('x') == "\uFFFDx");
  CHECK(stream.push(0xFF) == "\uFFFD");
  CHECK(stream.push(0xED) == "");
  CHECK(stream.push(0xA0) == "\uFFFD\uFFFD");
  CHECK(stream.push(0xF0) == "");
  CHECK(stream.push(0x90) == "");
  CHECK(stream.finish() == "\uFFFD");
  CHECK(stream.finish() == "");
}

TEST_CASE("a text from its beginning loses the space in front of the first word alone") {
  sample vocabulary = scored();
  const token_id word = vocabulary.add("\u2581word");
  text_stream stream(built(vocabulary), true);
  CHECK(stream.push(1) == "");
  CHECK(stream.push(word) == "word");
  CHECK(stream.push(word) == " word");
}

TEST_CASE("an answer goes on where its prompt ended: no space is taken away") {
  sample vocabulary = scored();
  const token_id word = vocabulary.add("\u2581word");
  text_stream stream(built(vocabulary));
  CHECK(stream.push(word) == " word");
  CHECK(stream.finish() == "");
  CHECK(stream.push(word) == " word");
}

TEST_CASE("UTF-8 is read strictly") {
  using form = utf8::front::form;
  CHECK(utf8::read_front("\xF0\x9F\x99\x82").code == U'\U0001F642');
  CHECK(utf8::read_front("\xC1\x81").state == form::broken);
  CHECK(utf8::read_front("\xE0\x9F\x80").state == form::broken);
  CHECK(utf8::read_front("\xF5\x80\x80\x80").state == form::broken);
  CHECK(utf8::read_front("\xE2\x82").state == form::open);
  CHECK(utf8::read_front("\xE2\x82x").size == 2);
  CHECK(utf8::find_invalid("0123456789\xC3\xA9"
                           "abcdefgh\x80") == 20);
  CHECK_FALSE(utf8::find_invalid("0123456789\xC3\xA9"));
}
