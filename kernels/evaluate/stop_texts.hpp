// Finds the first of several stop texts in a growing text. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace troupe::kernels {

class stop_search {
 public:
  explicit stop_search(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // Adds text and returns the part that is certain: it holds no stop text and cannot become part of
  // one.
  std::string push(std::string_view text);
  // The rest, when no more text will come.
  std::string finish();
  bool found() const { return found_; }

 private:
  std::vector<std::string> stops_;
  std::string waiting_;
  bool found_ = false;
};

}  // namespace troupe::kernels
