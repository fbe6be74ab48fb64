// The client library as an outside project gets it: installed, found, compiled from its README, run
// against a node.
#include <doctest/doctest.h>

#include "nodes.hpp"

using namespace system_test;

namespace {

// The first fenced block of that language in a Markdown file.
std::string block_of(const std::string& markdown, const std::string& language) {
  const std::string fence = "```" + language + "\n";
  const std::size_t begin = markdown.find(fence);
  if (begin == std::string::npos) return {};
  const std::size_t from = begin + fence.size();
  return markdown.substr(from, markdown.find("\n```", from) + 1 - from);
}

void run_in(const scratch_folder& folder, const std::vector<std::string>& command) {
  child_process process(command, folder.path() / "errors");
  std::string output;
  while (auto line = process.line(milliseconds(240'000))) output += *line + "\n";
  const auto code = process.wait(milliseconds(10'000));
  REQUIRE_MESSAGE(code == 0, command[0], " ", command[1], "\n", output,
                  content_of(folder.path() / "errors"));
}

}  // namespace

TEST_CASE("the README's example builds against an installed package and asks a node") {
  const std::string readme =
      content_of(std::string(TROUPE_SOURCE_DIR) + "/cluster/client/README.md");
  scratch_folder folder;
  const std::string root = folder.path().string();
  std::filesystem::create_directories(folder.path() / "ask");
  write_file(folder.path() / "ask/CMakeLists.txt", block_of(readme, "cmake"));
  write_file(folder.path() / "ask/ask.cpp", block_of(readme, "cpp"));
  run_in(folder, {"cmake", "--install", TROUPE_BUILD_DIR, "--prefix", root + "/prefix",
                  "--component", "client"});
  run_in(folder, {"cmake", "-S", root + "/ask", "-B", root + "/build",
                  "-DCMAKE_PREFIX_PATH=" + root + "/prefix",
                  std::string("-DCMAKE_CXX_FLAGS=") + TROUPE_CXX_FLAGS});
  run_in(folder, {"cmake", "--build", root + "/build"});

  node only({.name = "only"});
  REQUIRE_MESSAGE(only.ready(), only.errors());
  child_process ask({root + "/build/ask", only.at(), "tiny", "Hello"}, folder.path() / "said");
  while (ask.line(milliseconds(60'000))) {
  }
  CHECK(ask.wait(milliseconds(10'000)) == 0);
  CHECK(content_of(folder.path() / "said").find("tokens from node only") != std::string::npos);
  child_process unknown({root + "/build/ask", only.at(), "none", "Hello"}, folder.path() / "said");
  CHECK(unknown.wait(milliseconds(60'000)) == 1);
}
