// How each row of the pre-tokenizer table cuts one text that tells most of them apart.
#include <doctest/doctest.h>

#include <set>

#include "kernels/tokenizer/character_class.hpp"
#include "kernels/tokenizer/pre_tokenizer.hpp"

using namespace troupe;
using namespace troupe::kernels;

namespace {

std::string cut(const pre_tokenizer_row& row, std::string_view text) {
  const auto rules = word_rules::make(row);
  REQUIRE_MESSAGE(rules, rules.failure().text());
  word_cutter cutter(*rules);
  cutter.begin(text);
  std::string joined;
  while (true) {
    const auto word = cutter.next();
    REQUIRE(word);
    if (word->empty()) return joined;
    joined += (joined.empty() ? "" : "|") + std::string(*word);
  }
}

std::string cut(std::string_view name, std::string_view text) {
  const pre_tokenizer_row* row = find_pre_tokenizer(name);
  REQUIRE(row);
  return cut(*row, text);
}

}  // namespace

TEST_CASE("each row cuts as the models it names expect") {
  const std::string text = "It'S we've HelloWorld 1234567  x=(y)/\n \nété漢字かな, a b";
  const std::pair<std::string_view, std::string_view> expected[] = {
      {"default",
       "It|'|S| we|'|ve| HelloWorld| |123|456|7| | x|=(|y|)/|\n |\n|été漢字かな|,| a| b"},
      {"gpt-2", "It|'|S| we|'ve| HelloWorld| 1234567| | x|=(|y|)/|\n |\n|été漢字かな|,| a| b"},
      {"llama-bpe", "It|'S| we|'ve| HelloWorld| |123|456|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"smaug-bpe", "It|'S| we|'ve| HelloWorld| |123|456|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"qwen2", "It|'S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"qwen35",
       "It|'S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"falcon", "It|'|S| we|'|ve| HelloWorld| |123|456|7| | x|=(|y|)/|\n |\n|été漢字かな|,| a| b"},
      {"starcoder",
       "It|'|S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/|\n |\n|été漢字かな|,| a| b"},
      {"deepseek-llm",
       "It|'|S| we|'|ve| HelloWorld| |1234567| | x|=(|y|)/|\n| |\n|é|t|é|漢字かな|,| a| b"},
      {"deepseek-coder",
       "It|'|S| we|'|ve| HelloWorld| |1|2|3|4|5|6|7| | x|=|(|y|)/|\n| |\n|été|漢字かな|,| a| b"},
      {"deepseek-v3",
       "It|'S| we|'ve| HelloWorld| |123|456|7| | x|=(|y|)/\n| \n|été|漢字かな|,| a| b"},
      {"spark2_5",
       "It|'S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/|\n| |\n|été|漢字かな|,| a| b"},
      {"youtu", "It'S| we've| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/\n| \n|été|漢字かな|,| a| b"},
      {"bloom", "It'S| we've| HelloWorld| 1234567| | x=|(|y|)|/|\n \n|été漢字かな|,| a| b"},
      {"viking", "It'S| we've| HelloWorld| |1|2|3|4|5|6|7| | x=|(|y|)|/|\n \n|été漢字かな|,| a| b"},
      {"tekken",
       "It|'S| we|'ve| Hello|World| |1|2|3|4|5|6|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"gpt-4o", "It'S| we've| Hello|World| |123|456|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"granite-embed-multi-97m",
       "It'S| we've| Hello|World| |123|456|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"chameleon",
       "It|'|S| we|'|ve| HelloWorld| |1|2|3|4|5|6|7|  |x|=|(|y|)|/|\n| |\n|été漢字かな|,| a| b"},
      {"jais-2", "It|'S| we|'ve| HelloWorld| |123|456|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"bailingmoe",
       "It|'S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"seed-coder",
       "It|'S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/|\n \n|été漢字かな|,| a| b"},
      {"ufakzeka",
       "It|'S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"laguna",
       "It|'S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/|\n| |\n|été漢字かな|,| a| b"},
      {"minicpm5", "It|'S| we|'ve| HelloWorld| |123|456|7| | x|=(|y|)/\n| \n|été漢字かな|,| a| b"},
      {"exaone-moe",
       "It|'S| we|'ve| HelloWorld| |1|2|3|4|5|6|7| | x|=(|y|)/\n| \n|été漢字かな|,| a b"},
  };
  CHECK(std::size(expected) == pre_tokenizer_table().size());
  for (const auto& [name, words] : expected) {
    CAPTURE(name);
    CHECK(cut(name, text) == words);
  }
}

TEST_CASE("names are known once, and the empty name is the default") {
  std::set<std::string_view> names;
  for (const pre_tokenizer_row& row : pre_tokenizer_table())
    for (const std::string_view name : row.names) CHECK(names.insert(name).second);
  CHECK(find_pre_tokenizer("") == find_pre_tokenizer("default"));
  CHECK(find_pre_tokenizer("no-such-row") == nullptr);
  CHECK(pre_tokenizer_names().find("chatglm-bpe") != std::string::npos);
}

TEST_CASE("white space is the Unicode property") {
  CHECK(cut("gpt-2", "a\u3000\u3000b") == "a|\u3000|\u3000|b");
  CHECK(cut("gpt-2", "a\u0085\u0085b") == "a|\u0085|\u0085|b");
  CHECK(cut("gpt-2", "a\u180e\u200bb") == "a|\u180e\u200b|b");
}

TEST_CASE("classes of characters") {
  CHECK(class_of(U'\u00e9') == character_class::letter);
  CHECK(class_of(U'\u0301') == character_class::mark);
  CHECK(class_of(U'\u00bd') == character_class::number);
  CHECK(class_of(U'\u3002') == character_class::punctuation);
  CHECK(class_of(U'\u20ac') == character_class::symbol);
  CHECK(class_of(U'\u00a0') == character_class::white_space);
  CHECK(class_of(U'\u200b') == character_class::other);
  CHECK(class_of(U'\U00031350') == character_class::letter);  // Unicode 15.0
  CHECK(class_of(U'\U0002ebf0') == character_class::letter);  // Unicode 15.1
}

TEST_CASE("rows stay linear on the texts that are worst for patterns") {
  const std::size_t size = 200000;
  for (const pre_tokenizer_row& row : pre_tokenizer_table()) {
    CAPTURE(row.names[0]);
    for (const std::string& unit :
         {std::string(" "), std::string("\n"), std::string("A"), std::string("1"), std::string("'"),
          std::string("\u00e9"), std::string("a ")}) {
      std::string text;
      while (text.size() < size) text += unit;
      const auto rules = word_rules::make(row);
      REQUIRE(rules);
      for (const std::string& tail : {std::string(), std::string("\x01"), std::string("z")}) {
        const std::string whole = text + tail;
        word_cutter cutter(*rules);
        cutter.begin(whole);
        std::size_t bytes = 0;
        for (auto word = cutter.next(); !word->empty(); word = cutter.next()) bytes += word->size();
        CHECK(bytes == whole.size());
      }
    }
  }
}
