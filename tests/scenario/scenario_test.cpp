// Plays every script of this folder, and scripts that have to fail.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/scenario/script.hpp"

using troupe::scenario::play;

namespace {

const std::string beginning = R"(
  nodes: home left
  the cluster starts
  alice submits j to home: 12 tokens after "once upon", temperature 0.7, seed 3
)";

std::string whole(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::string complaint(const std::string& rest) {
  return play(beginning + rest).value_or("");
}

}  // namespace

TEST_CASE("every script is seen to the letter") {
  int count = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(TROUPE_SOURCE_DIR "/tests/scenario")) {
    const std::string name = file.path().filename().string();
    if (!name.ends_with(".txt") || name == "CMakeLists.txt") continue;
    ++count;
    const auto failure = play(whole(file.path()));
    CHECK_MESSAGE(!failure, name, ": ", failure.value_or(""));
  }
  CHECK(count >= 10);
}

TEST_CASE("a script that asks for what is not so fails at that line, and says what was seen") {
  CHECK(complaint("alice hears the end of j\nthen alice has the whole answer of j").empty());
  CHECK(complaint("alice hears 13 tokens of j").find("line 5") == 0);
  CHECK(complaint("alice hears the end of j\nthen alice has the first 11 tokens of j")
            .find("12 tokens came from home") != std::string::npos);
  CHECK(complaint("alice hears the end of j\nthen j was begun 2 times").find("begun 1 times") !=
        std::string::npos);
  CHECK(complaint("alice hears the end of j\nthen stale frames of j were dropped at home")
            .find("no frame") != std::string::npos);
  CHECK(complaint("alice hears the end of j\nthen alice has j from a cache").find("COMPUTED") !=
        std::string::npos);
  CHECK(complaint("then the journal of home has forgotten j\nthen the journal of left knows j")
            .find("the other way") != std::string::npos);
}

TEST_CASE("a script that is not understood, or checks nothing, is no proof") {
  CHECK(complaint("alice hears the end of j") == "the script checks nothing");
  CHECK(complaint("alice is happy").find("no sentence") != std::string::npos);
  CHECK(complaint("then bob has the whole answer of j").find("no client bob") != std::string::npos);
  CHECK(complaint("nowhere is killed").find("no node") != std::string::npos);
}

TEST_CASE("the README lists every sentence") {
  const std::string readme = whole(TROUPE_SOURCE_DIR "/tests/scenario/README.md");
  CHECK(troupe::scenario::sentences().size() > 20);
  // The words before the first variable part.
  for (const std::string& form : troupe::scenario::sentences()) {
    std::string word = form.substr(0, form.find_first_of("([\\"));
    if (word.size() < 6) {
      const auto from = form.find(") ");
      word = form.substr(from + 1, form.find_first_of("([\\:,", from + 1) - from - 1);
    }
    CHECK_MESSAGE(readme.find(word) != std::string::npos, form);
  }
}
