#include "actors/inference/stop_text.hpp"

#include <algorithm>

namespace troupe {

std::string stop_text::push(std::string_view text) {
  if (stopped_) return {};
  if (stops_.empty()) return std::string{text};
  waiting_ += text;
  std::size_t first_end = std::string::npos;
  std::size_t start = 0;
  for (const std::string& stop : stops_) {
    const std::size_t at = waiting_.find(stop);
    if (at == std::string::npos) continue;
    const std::size_t end = at + stop.size();
    if (end < first_end || (end == first_end && at < start)) {
      first_end = end;
      start = at;
    }
  }
  if (first_end != std::string::npos) {
    stopped_ = true;
    std::string released = waiting_.substr(0, start);
    waiting_.clear();
    return released;
  }
  const std::size_t keep = length_held();
  std::string released = waiting_.substr(0, waiting_.size() - keep);
  waiting_.erase(0, waiting_.size() - keep);
  return released;
}

std::string stop_text::flush() {
  std::string released = std::move(waiting_);
  waiting_.clear();
  return released;
}

// The longest end of the waiting text that begins some stop.
std::size_t stop_text::length_held() const {
  std::size_t longest = 0;
  for (const std::string& stop : stops_) {
    const std::size_t most = std::min(stop.size() - 1, waiting_.size());
    for (std::size_t length = most; length > longest; --length) {
      if (waiting_.compare(waiting_.size() - length, length, stop, 0, length) == 0) {
        longest = length;
        break;
      }
    }
  }
  return longest;
}

}  // namespace troupe
