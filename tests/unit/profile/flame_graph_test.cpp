#include "cluster/profile/flame_graph.hpp"

#include <doctest/doctest.h>

#include <map>
#include <regex>

using namespace troupe;
using namespace troupe::profile;

namespace {

struct drawn {
  double x, y, width;
  std::string fill;
};

std::multimap<std::string, drawn> frames_of(const std::string& svg) {
  std::multimap<std::string, drawn> out;
  const std::regex one(
      "<g class=\"f\"[^>]*><title>([^<]*) \\([^()]*\\)</title><rect x=\"([0-9.]+)\" "
      "y=\"([0-9.]+)\" width=\"([0-9.]+)\" height=\"[0-9.]+\" fill=\"([^\"]+)\"");
  for (std::sregex_iterator at(svg.begin(), svg.end(), one), end; at != end; ++at)
    out.emplace((*at)[1].str(), drawn{std::stod((*at)[2]), std::stod((*at)[3]), std::stod((*at)[4]),
                                      (*at)[5].str()});
  return out;
}

}  // namespace

TEST_CASE("widths are shares: children lie within their parent, and add up to it") {
  folded_stacks stacks;
  stacks.add("main;run;fast", 10);
  stacks.add("main;run;slow", 20);
  stacks.add("main;run", 5);
  stacks.add("other", 5);
  const auto frames = frames_of(flame_graph(stacks, {"title", "", "samples"}));
  CHECK(frames.size() == 6);
  const auto one = [&](const char* name) { return frames.find(name)->second; };
  const double all = one("all").width;
  CHECK(one("main").width == doctest::Approx(all * 35 / 40).epsilon(0.001));
  CHECK(one("run").width == doctest::Approx(all * 35 / 40).epsilon(0.001));
  CHECK(one("main").width + one("other").width == doctest::Approx(all).epsilon(0.001));
  CHECK(one("fast").width + one("slow").width + all * 5 / 40 ==
        doctest::Approx(one("run").width).epsilon(0.001));
  CHECK(one("slow").width == doctest::Approx(2 * one("fast").width).epsilon(0.001));
  CHECK(one("fast").x >= one("run").x);
  CHECK(one("slow").x + one("slow").width <= one("run").x + one("run").width + 0.02);
  CHECK(one("fast").y < one("run").y);  // the outermost lies at the bottom
  CHECK(one("run").y < one("main").y);
  CHECK(one("main").y < one("all").y);
}

TEST_CASE("names with the signs of XML are text, wherever they stand") {
  folded_stacks stacks;
  stacks.add("std::vector<int>::at(a&&);\"quoted\" 'x'", 3);
  const std::string svg = flame_graph(stacks, {"<b> & co", "]]> <script>", "samples"});
  CHECK(svg.find("std::vector&lt;int&gt;::at(a&amp;&amp;)") != std::string::npos);
  CHECK(svg.find("&quot;quoted&quot; &#39;x&#39;") != std::string::npos);
  CHECK(svg.find("&lt;b&gt; &amp; co") != std::string::npos);
  CHECK(svg.find("vector<int>") == std::string::npos);
  std::size_t scripts = 0;
  for (std::size_t at = svg.find("<script>"); at != std::string::npos;
       at = svg.find("<script>", at + 1))
    ++scripts;
  CHECK(scripts == 1);
  CHECK(escaped(std::string("a\0b\xff", 4)) == "a?b?");
}

TEST_CASE("colours are of the name, and frames too narrow to be seen are told") {
  CHECK(colour_of("main") == colour_of("main"));
  CHECK(colour_of("main") != colour_of("main2"));
  CHECK(colour_of("[libc.so.6]").substr(1, 2) == colour_of("[libc.so.6]").substr(3, 2));
  folded_stacks stacks;
  stacks.add("main;large", 1'000'000);
  for (int i = 0; i < 50; ++i) stacks.add("main;small" + std::to_string(i), 1);
  const std::string svg = flame_graph(stacks, {"t", "of 1 s", "samples"});
  CHECK(frames_of(svg).size() == 3);
  CHECK(svg.find("of 1 s; 50 frames too narrow") != std::string::npos);
}

TEST_CASE("nothing, very deep stacks and bytes are drawn as well") {
  const std::string nothing = flame_graph({}, {"t", "", "samples"});
  CHECK(nothing.find("there is nothing to show") != std::string::npos);
  CHECK(frames_of(nothing).empty());
  std::string deep = "a";
  for (int i = 0; i < 5'000; ++i) deep += ";a";
  folded_stacks stacks;
  stacks.add(deep, 3 << 20);
  const std::string svg = flame_graph(stacks, {"t", "", "bytes"});
  CHECK(svg.size() < 200'000);
  CHECK(svg.find("a (3.0 MiB, 100.00 %)") != std::string::npos);
  CHECK(svg.find("http", svg.find("<style>")) == std::string::npos);  // nothing from elsewhere
}
