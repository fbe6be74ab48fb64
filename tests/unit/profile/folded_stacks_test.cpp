#include "cluster/profile/folded_stacks.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::profile;

TEST_CASE("equal stacks are one, and the text tells the largest first") {
  folded_stacks stacks;
  const std::string first[] = {"main", "run"}, second[] = {"main", "wait"};
  stacks.add(first, 1);
  stacks.add(second, 5);
  stacks.add(first, 2);
  stacks.add("main;run", 1);
  stacks.add("nothing", 0);
  CHECK(stacks.size() == 2);
  CHECK(stacks.value() == 9);
  CHECK(stacks.text().text == "main;wait 5\nmain;run 4\n");
  CHECK(stacks.of("main;run") == 4);
}

TEST_CASE("frames cannot break the grammar of a line") {
  const std::string frames[] = {"a;b", "operator new (unsigned long)\n", "", "\xc3\xa4"};
  folded_stacks stacks;
  stacks.add(frames, 3);
  CHECK(stacks.text().text == "a:b;operator new (unsigned long)?;?;?? 3\n");
  const auto read = folded_stacks::read(stacks.text().text);
  REQUIRE(read);
  CHECK(read->text().text == stacks.text().text);
  CHECK(frame_of(std::string(1'000, 'x')).size() == frame_bytes_max + 3);
}

TEST_CASE("what has no room is counted, and the sum of all values stays") {
  folded_stacks stacks;
  for (int i = 1; i <= 1'000; ++i) stacks.add("main;function_" + std::to_string(i), i);
  const auto written = stacks.text(2'000);
  CHECK(written.text.size() <= 2'000);
  CHECK(written.text.size() > 1'900);
  CHECK(written.text.starts_with("main;function_1000 1000\n"));
  CHECK(written.stacks_left_out > 900);
  CHECK(written.value_left_out > 0);
  const auto read = folded_stacks::read(written.text);
  REQUIRE(read);
  CHECK(read->value() == 500'500);
  CHECK(read->of(std::string(left_out_stack)) == written.value_left_out);
  CHECK(read->size() + written.stacks_left_out == 1'001);
  CHECK(stacks.text(0).value_left_out == 500'500);
}

TEST_CASE("more stacks than may be held become one") {
  folded_stacks stacks;
  for (std::size_t i = 0; i < stacks_max + 10; ++i) stacks.add("s" + std::to_string(i), 2);
  CHECK(stacks.size() == stacks_max + 1);
  CHECK(stacks.value() == (stacks_max + 10) * 2);
  CHECK(stacks.of(std::string(left_out_stack)) == 20);
  stacks.add("s7", 1);
  CHECK(stacks.of("s7") == 3);
  const auto written = stacks.text(8u << 20);
  CHECK(written.stacks_left_out == 10);
  CHECK(written.value_left_out == 20);
}

TEST_CASE("names of any length take bounded memory") {
  folded_stacks stacks;
  const std::string deep(1u << 20, 'x');
  for (int i = 0; i < 40; ++i) stacks.add(deep + std::to_string(i), 1);
  CHECK(stacks.size() == 32);  // 31 of somewhat more than a MiB, and what was left out
  CHECK(stacks.value() == 40);
  CHECK(stacks.of(std::string(left_out_stack)) == 9);
}

TEST_CASE("text that is no folded stack is refused by its line") {
  for (const char* wrong : {"main", "main;run x", "main;run ", " 7", "main 99999999999999999999"}) {
    const auto read = folded_stacks::read(std::string("fine 1\n") + wrong + "\n");
    REQUIRE_FALSE_MESSAGE(read.ok(), wrong);
    CHECK(read.failure().message.find("line 2") != std::string::npos);
  }
  CHECK(folded_stacks::read("")->value() == 0);
}
