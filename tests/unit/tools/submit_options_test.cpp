// Which wishes the flags of `troupe submit` take together; nothing here reaches a node.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tools/cli/command.hpp"

using namespace troupe::cli;

namespace {

int run_with(std::vector<const char*> flags) {
  std::vector<const char*> line = {"troupe", "submit", "--at", "nowhere", "--model", "tiny"};
  line.insert(line.end(), flags.begin(), flags.end());
  return run(static_cast<int>(line.size()), line.data());
}

}  // namespace

TEST_CASE("a job has a prompt or a chat, and a system text only with a chat") {
  CHECK(run_with({}) == exit_usage);
  CHECK(run_with({"--prompt", "x", "--chat", "y"}) == exit_usage);
  CHECK(run_with({"--prompt", "x", "--system", "y"}) == exit_usage);
  // "nowhere" is no address: the flags were fine.
  CHECK(run_with({"--prompt", "x"}) == exit_input);
  CHECK(run_with({"--chat", "x", "--system", "y"}) == exit_input);
}

TEST_CASE("one form for the answer, a priority that is one, a schema that can be read") {
  CHECK(run_with({"--prompt", "x", "--json-object", "--json-schema", "f"}) == exit_usage);
  CHECK(run_with({"--prompt", "x", "--priority", "highest"}) == exit_usage);
  CHECK(run_with({"--prompt", "x", "--priority", "urgent", "--tenant", "shop"}) == exit_input);
  CHECK(run_with({"--prompt", "x", "--json-schema", "/nonexistent/schema"}) == exit_input);
}

TEST_CASE("embed and score take one prompt; a release takes a job, or a model and tokens") {
  const auto code = [](std::vector<const char*> line) {
    line.insert(line.begin(), "troupe");
    return run(static_cast<int>(line.size()), line.data());
  };
  for (const char* name : {"embed", "score"}) {
    CHECK(code({name, "--at", "nowhere", "--model", "m"}) == exit_usage);
    CHECK(code({name, "--at", "nowhere", "--model", "m", "--prompt", "x", "--ids", "1"}) ==
          exit_usage);
    CHECK(code({name, "--at", "nowhere", "--model", "m", "--ids", "1,x"}) == exit_usage);
    CHECK(code({name, "--at", "nowhere", "--model", "m", "--prompt", "x"}) == exit_input);
    CHECK(code({name, "--at", "nowhere", "--model", "m", "--ids", "1,2"}) == exit_input);
  }
  CHECK(code({"release", "--at", "nowhere"}) == exit_usage);
  CHECK(code({"release", "--at", "nowhere", "--model", "m"}) == exit_usage);
  CHECK(code({"release", "--at", "nowhere", "--ids", "1"}) == exit_usage);
  CHECK(code({"release", "--at", "nowhere", "job", "--model", "m", "--ids", "1"}) == exit_usage);
  CHECK(code({"release", "--at", "nowhere", "job"}) == exit_input);
  CHECK(code({"release", "--at", "nowhere", "--model", "m", "--ids", "1,2"}) == exit_input);
}

TEST_CASE("a drain needs the node's name") {
  const char* bare[] = {"troupe", "node", "drain"};
  CHECK(run(3, bare) == exit_usage);
  const char* negative[] = {"troupe", "node", "drain", "pc2", "--wait", "-1"};
  CHECK(run(6, negative) == exit_usage);
  const char* nowhere[] = {"troupe", "node", "drain", "pc2", "--at", "nowhere"};
  CHECK(run(6, nowhere) == exit_input);
}
