// Bugs put in on purpose: the simulation has to find each of them, or it is not worth its time.
//
// Each is a seam between a node's cores and their world; nothing of it is in the programs.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "tests/sim/seam.hpp"

namespace troupe::sim {

struct planted_bug {
  std::string_view name;
  std::string_view about;
  std::string_view breaks;  // properties, one of which has to be seen broken
  std::unique_ptr<seam> (*make)();
};

std::span<const planted_bug> planted_bugs();

}  // namespace troupe::sim
