#include "tools/console/sparkline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace troupe::console {

std::string sparkline(const std::vector<float>& values, float most, bool unicode) {
  static const char* blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static const char* letters[] = {"_", "_", ".", ".", "-", "-", "=", "#"};
  if (!(most > 0)) {
    most = 0;
    for (const float value : values)
      if (std::isfinite(value)) most = std::max(most, value);
  }
  std::string out;
  for (const float value : values) {
    if (!std::isfinite(value)) {
      out += ' ';
      continue;
    }
    const float part = most > 0 ? std::clamp(value / most, 0.0f, 1.0f) : 0;
    const auto step = static_cast<std::size_t>(std::lround(part * 7));
    out += unicode ? blocks[step] : letters[step];
  }
  return out;
}

std::vector<float> thinned(const std::vector<float>& values, std::size_t by) {
  std::vector<float> out;
  for (std::size_t end = values.size() % by == 0 ? by : values.size() % by;
       by > 0 && end <= values.size(); end += by) {
    const std::size_t begin = end > by ? end - by : 0;
    float sum = 0;
    std::size_t count = 0;
    for (std::size_t i = begin; i < end; ++i)
      if (std::isfinite(values[i])) sum += values[i], ++count;
    out.push_back(count ? sum / static_cast<float>(count)
                        : std::numeric_limits<float>::quiet_NaN());
  }
  return out;
}

}  // namespace troupe::console
