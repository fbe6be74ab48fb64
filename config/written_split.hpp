// A model in parts as it is written in models.split: "llama-70b:pc2=20:pc3=10". Pure.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

struct written_split {
  struct part {
    std::string node;
    std::uint32_t layers = 0;
  };
  std::string model;
  std::vector<part> parts;  // in the order of the layers
};

// The model may have colons, so the parts are looked for at the end. nullopt: it is none, or names
// a node twice, which has one part of a model.
inline std::optional<written_split> read_split(std::string_view text) {
  written_split out;
  for (;;) {
    const std::size_t colon = text.rfind(':'), equals = text.rfind('=');
    if (equals == std::string_view::npos || (colon != std::string_view::npos && equals < colon))
      break;
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    const std::string_view node = text.substr(colon + 1, equals - colon - 1),
                           layers = text.substr(equals + 1);
    written_split::part part{std::string(node), 0};
    const auto read = std::from_chars(layers.data(), layers.data() + layers.size(), part.layers);
    if (node.empty() || read.ec != std::errc() || read.ptr != layers.data() + layers.size() ||
        part.layers == 0)
      return std::nullopt;
    for (const written_split::part& other : out.parts)
      if (other.node == part.node) return std::nullopt;
    out.parts.push_back(std::move(part));
    text = text.substr(0, colon);
  }
  if (out.parts.empty() || text.empty()) return std::nullopt;
  std::reverse(out.parts.begin(), out.parts.end());
  out.model = text;
  return out;
}

}  // namespace troupe
