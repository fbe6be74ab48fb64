// Many short texts in one block of memory, numbered from 0, and a look-up from text to number.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/engine.hpp"

namespace troupe::kernels {

class token_texts {
 public:
  void add(std::string_view text) {
    bytes_ += text;
    ends_.push_back(bytes_.size());
  }
  std::size_t size() const { return ends_.size(); }
  // Valid until the next add.
  std::string_view operator[](std::size_t number) const {
    const std::size_t begin = number == 0 ? 0 : ends_[number - 1];
    return std::string_view(bytes_).substr(begin, ends_[number] - begin);
  }

 private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

// Finds a text's number; of equal texts, the first. An empty text is never found.
class token_index {
 public:
  token_index() = default;
  explicit token_index(
      const token_texts& texts);  // all of them; `texts` goes to find() again, unchanged

  token_id find(const token_texts& texts, std::string_view text) const;  // -1: not there
  std::size_t longest() const { return longest_; }

 private:
  struct slot {
    std::uint32_t tag =
        0;  // the upper half of the text's hash: tells most texts apart without reading them
    token_id number = -1;
  };
  std::vector<slot> slots_;
  std::size_t longest_ = 0;
};

}  // namespace troupe::kernels
