// Words, keys' bytes, findings, stories: the small pure parts.
#include <doctest/doctest.h>

#include "fixture.hpp"
#include "tools/console/findings.hpp"
#include "tools/console/key_bytes.hpp"
#include "tools/console/layout.hpp"
#include "tools/console/sparkline.hpp"
#include "tools/console/story_lines.hpp"
#include "tools/console/terminal.hpp"
#include "tools/console/words.hpp"

using namespace troupe;
using namespace troupe::console;
using namespace console_test;

namespace {

std::string text_of(const std::vector<line>& lines) {
  std::string out;
  for (const line& one : lines) {
    for (const piece& part : one) out += part.text;
    out += "\n";
  }
  return out;
}

}  // namespace

TEST_CASE("figures are short and have a unit") {
  CHECK(duration_text(0.21) == "210 ms");
  CHECK(duration_text(2.14) == "2.1 s");
  CHECK(duration_text(34) == "34 s");
  CHECK(duration_text(600) == "10 min");
  CHECK(duration_text(-1) == "-");
  CHECK(bytes_text(1.5 * (1 << 30)) == "1.5 GiB");
  CHECK(bytes_text(1023) == "1.0 KiB");
  CHECK(rate_text(0.42) == "0.42");
  CHECK(rate_text(15'000) == "15 k");
  CHECK(share_text(0.07) == "7 %");
  CHECK(ago_text(200) == "3:20");
  CHECK(job_text(job_id(3)) == "00000003");
  CHECK(cut("abcdef", 4) == "abc~");
  CHECK(padded("né", 4, true) == "  né");
  CHECK(wrapped("a bc def", 4) == std::vector<std::string>{"a bc", "def"});
  CHECK(wrapped("ééééé", 2) == std::vector<std::string>{"éé", "éé", "é"});
  CHECK(wrapped("", 3) == std::vector<std::string>{""});
  CHECK(bar_text(0.5, 4, false) == "##..");
}

TEST_CASE("text of others cannot steer the terminal") {
  CHECK(printable("a\x1b[31mb\n\tc\x07") == "a?[31mb  c?");
  CHECK(printable("\xc2\x9b"
                  "31m") == "?31m");  // CSI as one C1 character
  CHECK(printable("\xe2\x80\xae"
                  "x") == "?x");  // turns the direction of writing
  CHECK(printable("\xff\xc3") == "??");
  CHECK(printable("né 日本") == "né 日本");
}

TEST_CASE("bytes of a terminal become keys, whole or in parts") {
  const auto keys = [](std::string bytes, bool waited = false) { return keys_of(bytes, waited); };
  CHECK(keys("q") == std::vector<key_press>{{key::character, "q"}});
  CHECK(keys("\x1b[A\x1bOB\x1b[5~\x1b[1;5C\x1b[Z\r\x7f\x03\t") ==
        std::vector<key_press>{{key::up},
                               {key::down},
                               {key::page_up},
                               {key::right},
                               {key::back_tab},
                               {key::enter},
                               {key::backspace},
                               {key::interrupt},
                               {key::tab}});
  CHECK(keys("\x1b").empty());
  CHECK(keys("\x1b", true) == std::vector<key_press>{{key::escape}});
  CHECK(keys("\x1b\x1b[A") == std::vector<key_press>{{key::escape}, {key::up}});
  CHECK(keys("\x1b[99;99x").empty());
  CHECK(keys("\x1b[20").empty());
  std::string half = "\xc3";
  CHECK(keys_of(half, false).empty());
  half += "\xa9";
  CHECK(keys_of(half, false) == std::vector<key_press>{{key::character, "é"}});
  for (int byte = 0; byte < 256; ++byte) {  // any bytes end, and leave nothing behind
    std::string bytes = std::string(3, static_cast<char>(byte)) + "q";
    keys_of(bytes, true);
    CHECK(bytes.empty());
  }
}

TEST_CASE("only lines that changed are sent") {
  CHECK(changes({"a", "b"}, {"a", "c"}) == "\x1b[2;1H\x1b[0mc\x1b[0m");
  CHECK(changes({"a"}, {"a"}).empty());
}

TEST_CASE("the slow node and the longest wait are said in plain words") {
  const auto findings = findings_of(*cluster());
  REQUIRE(findings.size() == 3);  // the alert says what the first line does
  CHECK(findings[0].text == "pc3 is DOWN: last heard 34 s ago");
  CHECK(findings[1].text == "pc2 is slow: first token 2.1 s, 14 waiting; its CPU is 98 % busy");
  CHECK(findings[2].text ==
        "Request 00000002 waits 8.2 s for its first token from pc2: its KV memory has no room for "
        "336 tokens (1 other waits)");

  proto::ClusterPicture hot = *cluster();
  hot.mutable_nodes(0)->mutable_alerts(0)->set_subject("pc2");
  CHECK(findings_of(hot)[1].text.find("Critical: pc3 has not been heard of") == 0);

  proto::ClusterPicture calm = *cluster();
  calm.mutable_nodes()->DeleteSubrange(1, 2);
  calm.mutable_nodes(0)->clear_jobs();
  calm.mutable_nodes(0)->clear_alerts();
  const auto quiet = findings_of(calm);
  REQUIRE(quiet.size() == 2);
  CHECK(quiet[0].text == "No node is slow. The slowest is pc1: first token 310 ms");
  CHECK(quiet[1].text == "No request waits.");
}

TEST_CASE("a story tells what took the time, why, and what was lost") {
  const std::string text = text_of(story_lines(story(), 110, true));
  CHECK(text.find("Most of its time: decode at pc2, 2.4 s of 4.0 s (60 %)") != std::string::npos);
  CHECK(text.find("because pc3 had the prompt's first 64 tokens already") != std::string::npos);
  CHECK(text.find("FAILED: the link to pc3 was lost") != std::string::npos);
  CHECK(text.find("cache miss") != std::string::npos);
  CHECK(text.find("  recovery") != std::string::npos);
  CHECK(text.find("    prefill") != std::string::npos);
  CHECK(text.find("+3.00 ms accepted") != std::string::npos);
  for (const std::size_t width : {1u, 20u, 60u, 80u, 300u})
    CHECK(!story_lines(story(), width, false).empty());
}

TEST_CASE("spans that name each other as parents are shown once") {
  proto::JobStory ring = story();
  ring.mutable_spans(2)->set_parent(4);
  ring.mutable_spans(3)->set_parent(3);
  CHECK(!story_lines(ring, 100, true).empty());
}

TEST_CASE("layouts show the focused panel, fill the height, and show more on larger terminals") {
  std::array<std::size_t, std::size(panels)> rows{3, 6, 0, 5, 0, 6, 0, 0};
  for (const panel focus : panels)
    for (std::size_t width : {40u, 80u, 120u, 169u, 170u, 250u})
      for (std::size_t height = 3; height < 120; ++height) {
        std::size_t sums[2] = {0, 0};
        bool has_focus = false;
        for (const placed& one : layout_of(width, height, focus, rows)) {
          sums[one.column] += one.height;
          has_focus |= one.which == focus;
        }
        CHECK(has_focus);
        CHECK(sums[0] == height);
        CHECK((sums[1] == 0 || sums[1] == height));
      }
  CHECK(layout_of(80, 18, panel::jobs, rows).size() == 1);
  CHECK(layout_of(120, 34, panel::jobs, rows).size() == 3);
  CHECK(layout_of(200, 54, panel::jobs, rows).size() == 8);
}

TEST_CASE("lines of values: holes are blanks, the greatest is full") {
  CHECK(sparkline({0, 1, NAN, 2}, 0, true) == "▁▅ █");
  CHECK(sparkline({0, 2}, 0, false) == "_#");
  CHECK(thinned({1, 3, 5, 7, 9}, 2) == std::vector<float>{1, 4, 8});
}
