// What the picture says, in plain words: which node is slow and by what one sees it, which request
// waits longest and why. For who has never seen the console. Pure.
#pragma once

#include <string>
#include <vector>

#include "tools/console/scene.hpp"

namespace troupe::console {

struct finding {
  tone look = tone::plain;
  std::string text;
  bool goes_on = false;  // the line before
};

// Always two, in this order: the slowest node, the request that waits longest; before them, where
// there are such, nodes that are gone or silent (one line), and the gravest alert.
std::vector<finding> findings_of(const proto::ClusterPicture& picture);

// Why a node is slow, by its own figures: ", its CPU is 98 % busy"; empty: they do not tell.
std::string reason_of(const proto::NodePart& node);

}  // namespace troupe::console
