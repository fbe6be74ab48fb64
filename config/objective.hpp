// A latency objective as it is written in monitoring.objectives: "mixtral:1500:0.99". Pure.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

struct written_objective {
  std::string model;
  std::uint32_t milliseconds = 0;
  double share = 0.99;
};

// The model may have colons, so the numbers are looked for at the end. nullopt: it is none.
inline std::optional<written_objective> read_objective(std::string_view text) {
  written_objective out;
  const std::size_t last = text.rfind(':');
  if (last == std::string_view::npos || last == 0) return std::nullopt;
  std::string_view tail = text.substr(last + 1), head = text.substr(0, last);
  if (tail.find('.') != std::string_view::npos) {
    const std::string digits(tail);
    char* end = nullptr;
    out.share = std::strtod(digits.c_str(), &end);
    const bool whole = end == digits.c_str() + digits.size();
    if (!whole || !(out.share > 0 && out.share < 1)) return std::nullopt;
    const std::size_t before = head.rfind(':');
    if (before == std::string_view::npos || before == 0) return std::nullopt;
    tail = head.substr(before + 1);
    head = head.substr(0, before);
  }
  const auto read = std::from_chars(tail.data(), tail.data() + tail.size(), out.milliseconds);
  if (read.ec != std::errc() || read.ptr != tail.data() + tail.size() || out.milliseconds == 0)
    return std::nullopt;
  out.model = head;
  return out;
}

}  // namespace troupe
