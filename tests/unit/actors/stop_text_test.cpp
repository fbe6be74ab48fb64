#include <doctest/doctest.h>

#include "actors/inference/stop_text.hpp"
#include "actors/running_hash.hpp"

#include <vector>

using namespace troupe;

TEST_CASE("text before a stop is given out, the stop and the rest are not") {
  stop_text s{{"END"}};
  CHECK(s.push("hello E") == "hello ");
  CHECK(s.push("N") == "");
  CHECK(s.push("glish EN") == "ENglish ");
  CHECK(s.push("D and more") == "");
  CHECK(s.stopped());
  CHECK(s.push("more") == "");
  CHECK(s.flush() == "");
}

TEST_CASE("text that might have begun a stop is given out at the end") {
  stop_text s{{"END", "\n\n"}};
  CHECK(s.push("line\n") == "line");
  CHECK(s.flush() == "\n");
  CHECK_FALSE(s.stopped());
}

TEST_CASE("the first stop to be complete ends the text; at the same byte the longest") {
  stop_text s{{"abcd", "bc"}};
  CHECK(s.push("xabcd") == "xa");
  stop_text t{{"bc", "abc"}};
  CHECK(t.push("xabc") == "x");
}

TEST_CASE("without stops everything passes") {
  stop_text s;
  CHECK(s.push("anything") == "anything");
  CHECK_FALSE(s.stopped());
}

TEST_CASE("the running hash is what the wire format says") {
  const std::vector<std::int32_t> ids{1, 2, 3};
  CHECK(running_hash_of(ids) ==
        running_hash_next(running_hash_of(std::vector<std::int32_t>{1, 2}), 3));
  CHECK(running_hash_of(ids) != running_hash_of(std::vector<std::int32_t>{2, 1, 3}));
  CHECK(running_hash_of(std::vector<std::int32_t>{}) == running_hash_start);
  CHECK(running_hash_of(std::vector<std::int32_t>{0}) != running_hash_start);
  static_assert(running_hash_start == 0x7472'6f75'7065'0001u);
  CHECK(running_hash_of(ids) == 0x9d2b4d3bfaf9325eu);
}
