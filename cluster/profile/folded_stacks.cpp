#include "cluster/profile/folded_stacks.hpp"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

namespace troupe::profile {
namespace {

error no_stack(std::size_t line) {
  return {error_code::invalid_argument, "line " + std::to_string(line) + " is no folded stack",
          "each line is FRAME;FRAME;FRAME VALUE"};
}

}  // namespace

std::string frame_of(std::string_view name) {
  if (name.empty()) return "?";
  std::string out(name.substr(0, frame_bytes_max));
  for (char& c : out) {
    if (c == ';') c = ':';
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return name.size() > frame_bytes_max ? out + "..." : out;
}

void folded_stacks::add(std::string stack, std::uint64_t value) {
  if (value == 0) return;
  value_ += value;
  auto found = values_.find(stack);
  if (found == values_.end()) {
    if (values_.size() >= stacks_max || bytes_ + stack.size() > stack_bytes_max) {
      stack = left_out_stack;
      ++refused_;
    }
    bytes_ += stack.size();
    found = values_.try_emplace(std::move(stack)).first;
  }
  found->second += value;
}

void folded_stacks::add(std::span<const std::string> frames, std::uint64_t value) {
  std::string stack;
  for (const std::string& frame : frames) stack += (stack.empty() ? "" : ";") + frame_of(frame);
  add(stack.empty() ? "?" : std::move(stack), value);
}

std::uint64_t folded_stacks::of(const std::string& stack) const {
  const auto found = values_.find(stack);
  return found == values_.end() ? 0 : found->second;
}

folded_stacks::written folded_stacks::text(std::size_t bytes_max) const {
  std::vector<std::pair<std::string_view, std::uint64_t>> rows;
  for (const auto& [stack, value] : values_)
    if (stack != left_out_stack) rows.emplace_back(stack, value);
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  const auto line_of = [](std::string_view stack, std::uint64_t value) {
    return std::string(stack) + ' ' + std::to_string(value) + '\n';
  };
  const std::size_t reserved = line_of(left_out_stack, value_).size();
  written out;
  out.value_left_out = of(std::string(left_out_stack));
  out.stacks_left_out = refused_;
  for (const auto& [stack, value] : rows) {
    std::string line = line_of(stack, value);
    if (out.text.size() + line.size() + reserved <= bytes_max) {
      out.text += line;
      continue;
    }
    ++out.stacks_left_out;
    out.value_left_out += value;
  }
  if (out.value_left_out > 0) out.text += line_of(left_out_stack, out.value_left_out);
  return out;
}

result<folded_stacks> folded_stacks::read(std::string_view text) {
  folded_stacks out;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    if (row.empty()) continue;
    const std::size_t space = row.rfind(' ');
    if (space == std::string_view::npos || space == 0) return no_stack(line);
    const std::string_view digits = row.substr(space + 1);
    std::uint64_t value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || read.ec != std::errc() || read.ptr != digits.data() + digits.size())
      return no_stack(line);
    out.add(std::string(row.substr(0, space)), value);
  }
  return out;
}

}  // namespace troupe::profile
