// Cuts a text into the words that byte pairs are merged in, by one row of the pre-tokenizer table.
//
// Every byte of the text is in exactly one word, in order. Threading: a word_rules is immutable and
// may be shared; a word_cutter belongs to one thread. Time is linear in the text for every row.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"
#include "kernels/tokenizer/pre_tokenizer_table.hpp"

namespace troupe::kernels {

class word_rules {
 public:
  static result<word_rules> make(const pre_tokenizer_row& row);
  word_rules(word_rules&&) noexcept;
  word_rules& operator=(word_rules&&) noexcept;
  ~word_rules();

 private:
  friend class word_cutter;
  word_rules();
  struct step;
  std::vector<step> steps_;
};

// Walks through one text at a time: begin(), then next() until it gives nothing.
class word_cutter {
 public:
  explicit word_cutter(const word_rules& rules);  // rules outlive the cutter
  ~word_cutter();
  word_cutter(const word_cutter&) = delete;
  word_cutter& operator=(const word_cutter&) = delete;

  void begin(std::string_view text);  // valid UTF-8, which outlives the walk
  // The next word; empty at the end. An error only where the pattern engine gives up.
  result<std::string_view> next();

 private:
  struct level;
  std::vector<level> levels_;
};

}  // namespace troupe::kernels
