// Finds stop texts in a stream of text: what comes before the stop is given out, the stop itself
// and what follows are not.
//
// The first stop to be complete ends the stream; of several that end at the same byte the longest
// counts. So the text given out depends on the bytes alone, never on how they were cut into pieces.
// Text that may be the beginning of a stop waits: at most the longest stop's length minus one byte.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace troupe {

class stop_text {
 public:
  stop_text() = default;
  // No stop may be empty.
  explicit stop_text(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // What may be given out now. Nothing more once stopped().
  std::string push(std::string_view text);
  // The stream has ended: what still waits.
  std::string flush();
  bool stopped() const { return stopped_; }

 private:
  std::size_t length_held() const;

  std::vector<std::string> stops_;
  std::string waiting_;
  bool stopped_ = false;
};

}  // namespace troupe
