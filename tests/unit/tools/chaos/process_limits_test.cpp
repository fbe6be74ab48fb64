#include "tools/chaos/process_limits.hpp"

#include <doctest/doctest.h>

#include "tools/local/processes.hpp"

namespace troupe::chaos {
namespace {

TEST_CASE("a process whose disk is full cannot write, and can again afterwards") {
  local::scratch_folder folder;
  const std::string file = (folder.path() / "file").string();
  // As the daemon, it ignores the signal; its complaints go to no file, whose writing would fail.
  local::child_process writer(
      {"sh", "-c",
       "exec 2>/dev/null; trap '' XFSZ; while sleep 0.02; do (printf x >> " + file +
           ") && echo fine || echo full; done"},
      folder.path() / "errors");
  const auto comes = [&](const std::string& word) {
    for (int i = 0; i < 200; ++i)
      if (const auto line = writer.line(milliseconds(10'000)); !line || *line == word)
        return line.has_value();
    return false;
  };
  REQUIRE(comes("fine"));
  REQUIRE(set_disk_full(writer.pid(), true));
  REQUIRE(comes("full"));
  const std::string written = local::content_of(file);
  CHECK_FALSE(written.empty());
  for (int i = 0; i < 5; ++i) CHECK(writer.line(milliseconds(10'000)) == "full");
  CHECK(local::content_of(file) == written);
  REQUIRE(set_disk_full(writer.pid(), false));
  CHECK(comes("fine"));
  CHECK_FALSE(set_disk_full(-1, true));
}

TEST_CASE("a clock's step is in the file that its process is told of") {
  local::scratch_folder folder;
  wall_clock clock(folder.path() / "clock");
  CHECK(clock.reads() == 0);
  clock.step(milliseconds(-60'000));
  const std::string shared = local::content_of(folder.path() / "clock");
  REQUIRE(shared.size() == sizeof(stepped_clock));
  std::int64_t step_us = 0;
  shared.copy(reinterpret_cast<char*>(&step_us), sizeof step_us);
  CHECK(step_us == -60'000'000);
  const auto variables = clock.variables("lib.so");
  CHECK(variables.at("LD_PRELOAD") == "lib.so");
  CHECK(variables.at(stepped_clock_variable) == (folder.path() / "clock").string());
}

}  // namespace
}  // namespace troupe::chaos
