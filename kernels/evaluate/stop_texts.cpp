#include "kernels/evaluate/stop_texts.hpp"

#include <algorithm>
#include <utility>

namespace troupe::kernels {

std::string stop_search::push(std::string_view text) {
  if (found_) return {};
  waiting_ += text;
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, waiting_.find(stop));
  if (first != std::string::npos) {
    found_ = true;
    waiting_.resize(first);
    return std::exchange(waiting_, {});
  }
  // The longest end of the text that begins a stop text has to wait.
  std::size_t held = 0;
  for (const std::string& stop : stops_)
    for (std::size_t size = std::min(stop.size() - 1, waiting_.size()); size > held; --size)
      if (waiting_.ends_with(std::string_view(stop).substr(0, size))) held = size;
  std::string certain = waiting_.substr(0, waiting_.size() - held);
  waiting_.erase(0, certain.size());
  return certain;
}

std::string stop_search::finish() {
  return std::exchange(waiting_, {});
}

}  // namespace troupe::kernels
