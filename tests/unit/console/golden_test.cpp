// Whole screens, held against files that one can read. TROUPE_WRITE_GOLDEN=1 writes them anew.
#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fixture.hpp"
#include "tools/console/drawn.hpp"
#include "tools/console/snapshot.hpp"

using namespace troupe::console;
using namespace console_test;

namespace {

bool can_be_drawn() {
  const auto can = can_draw();
  if (!can) MESSAGE("skipped: ", can.failure().text());
  return static_cast<bool>(can);
}

std::string coloured(const std::vector<std::string>& lines) {
  std::string out;
  for (std::string line : lines) {
    while (!line.empty() && line.back() == ' ') line.pop_back();
    for (const char byte : line) out += byte == '\x1b' ? std::string("^") : std::string(1, byte);
    out += "\n";
  }
  return out;
}

void hold(const std::string& name, const std::string& text) {
  const std::filesystem::path file =
      std::filesystem::path(TROUPE_SOURCE_DIR) / "tests/unit/console/golden" / (name + ".txt");
  if (std::getenv("TROUPE_WRITE_GOLDEN")) std::ofstream(file, std::ios::binary) << text;
  std::ifstream in(file, std::ios::binary);
  std::ostringstream wanted;
  wanted << in.rdbuf();
  CHECK_MESSAGE(text == wanted.str(), name, " is now\n", text);
}

struct in_utc {
  in_utc() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

}  // namespace

TEST_CASE_FIXTURE(in_utc, "screens of three sizes, without colours and with sixteen") {
  if (!can_be_drawn()) return;
  for (const auto& [width, height] : {std::pair{80u, 24u}, {120u, 40u}, {200u, 60u}}) {
    const console_state state = watching(width, height);
    const std::string size = std::to_string(width) + "x" + std::to_string(height);
    hold("screen_" + size, plain(drawn(state, colours::none)));
    hold("screen_" + size + "_16", coloured(drawn(state, colours::sixteen)));
  }
}

TEST_CASE_FIXTURE(in_utc, "every panel, a story, the help, a question and a filter on 80 columns") {
  if (!can_be_drawn()) return;
  for (std::size_t i = 0; i < std::size(panels); ++i) {
    console_state state = watching(80, 24);
    type(state, std::to_string(i + 1));
    hold(std::string("panel_") + std::to_string(i + 1), plain(drawn(state, colours::none)));
  }
  console_state state = watching(80, 24);
  type(state, "?");
  hold("help", plain(drawn(state, colours::none)));
  send(state, key_press{key::escape});
  type(state, "d");
  hold("question", plain(drawn(state, colours::none)));
  type(state, "n3/pc1");
  hold("filtering", plain(drawn(state, colours::none)));
  state = watching(100, 30);
  type(state, "3jjj");
  send(state, key_press{key::enter});
  send(state, story_heard{job_id(3), std::make_shared<troupe::proto::JobStory>(story())});
  hold("story", plain(drawn(state, colours::none)));
  state = watching(100, 30);
  send(state, key_press{key::enter});
  hold("node", plain(drawn(state, colours::none)));
}

TEST_CASE_FIXTURE(in_utc, "ASCII where the terminal has no more, and the past") {
  if (!can_be_drawn()) return;
  console_state state = watching(80, 24);
  state.unicode = false;
  type(state, "[");
  const std::string text = plain(drawn(state, colours::none));
  hold("past_ascii", text);
  for (const char byte : text) CHECK(static_cast<unsigned char>(byte) < 0x80);
}

TEST_CASE("every size is drawn with its number of lines, in every mode") {
  if (!can_be_drawn()) return;
  for (const unsigned width : {1u, 20u, 79u, 80u, 111u, 170u, 300u})
    for (const unsigned height : {1u, 5u, 10u, 24u, 33u, 39u, 90u}) {
      console_state state = watching(width, height);
      for (const char* keys : {"", "?", "?3", "2", "/x", "d", "8"}) {
        type(state, keys);
        CHECK(drawn(state, colours::sixteen).size() == height);
        send(state, key_press{key::escape});
      }
    }
}

TEST_CASE_FIXTURE(in_utc, "the snapshot for scripts") {
  hold("snapshot", snapshot(watching(80, 24)));
}
