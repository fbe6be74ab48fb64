// Stacks as text: "thread;outermost;...;innermost VALUE", one a line, as flame graph tools know it.
// Pure.
//
// Bounded: a stack that comes when stacks_max or stack_bytes_max are held is counted as
// left_out_stack, and so is what text() has no room for; the sum of all values stays what was
// added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/outcome.hpp"

namespace troupe::profile {

inline constexpr std::size_t stacks_max = 65'536;
inline constexpr std::size_t stack_bytes_max = 32u << 20;
inline constexpr std::size_t folded_bytes_max = 1u << 20;
inline constexpr std::size_t frame_bytes_max = 240;
inline constexpr std::string_view left_out_stack = "(left out)";

// As it may stand in a stack: without ';', printable ASCII alone, cut at frame_bytes_max.
std::string frame_of(std::string_view name);

class folded_stacks {
 public:
  void add(std::string stack, std::uint64_t value);
  // Outermost first.
  void add(std::span<const std::string> frames, std::uint64_t value);

  std::uint64_t value() const { return value_; }
  std::size_t size() const { return values_.size(); }
  std::uint64_t of(const std::string& stack) const;
  const std::unordered_map<std::string, std::uint64_t>& all() const { return values_; }

  struct written {
    std::string text;  // largest first; of equal ones, by name
    std::uint32_t stacks_left_out = 0;
    std::uint64_t value_left_out = 0;
  };
  written text(std::size_t bytes_max = folded_bytes_max) const;
  // invalid_argument names the line that is no stack.
  static result<folded_stacks> read(std::string_view text);

 private:
  std::unordered_map<std::string, std::uint64_t> values_;
  std::uint64_t value_ = 0;
  std::size_t bytes_ = 0;      // of all names
  std::uint32_t refused_ = 0;  // that came when as many were held as may be
};

}  // namespace troupe::profile
