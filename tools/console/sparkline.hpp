// Values as a line of small blocks. Pure.
#pragma once

#include <string>
#include <vector>

namespace troupe::console {

// One column for each value, newest last; a hole is a blank. The top is `most`, or the greatest
// value where that is 0.
std::string sparkline(const std::vector<float>& values, float most, bool unicode);
// The mean of each `by` values.
std::vector<float> thinned(const std::vector<float>& values, std::size_t by);

}  // namespace troupe::console
