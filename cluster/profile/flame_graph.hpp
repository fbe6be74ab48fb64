// A flame graph as one SVG file, for browsers: nothing fetched from elsewhere. Pure.
//
// The outermost frame lies at the bottom, a frame's width is its share. Every frame has a <title>
// with its whole name, its value and its share. A click, or Enter, zooms; Escape zooms out; arrows
// walk; "/" searches. Frames too narrow to be seen are left out and counted; they are within their
// parents' widths all the same. A function has the same colour in every picture.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/profile/folded_stacks.hpp"

namespace troupe::profile {

struct flame_graph_words {
  std::string title;     // "pc1: processor time, 10.0 s"
  std::string subtitle;  // of samples, drops and notes
  std::string unit;      // "samples", "bytes"
};

std::string flame_graph(const folded_stacks& stacks, const flame_graph_words& words);

// For text and attributes of XML; '?' for what is not printable ASCII.
std::string escaped(std::string_view text);
std::string colour_of(std::string_view frame);  // "#rrggbb"

}  // namespace troupe::profile
