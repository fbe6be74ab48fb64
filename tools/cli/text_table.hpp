// Rows of text in columns, for a terminal. Pure.
#pragma once

#include <string>
#include <vector>

namespace troupe::cli {

class text_table {
 public:
  // A title that begins with '>' stands for a column of numbers: aligned to the right.
  explicit text_table(std::vector<std::string> titles);
  // Missing cells are empty; surplus ones are left out.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Each line ends in a line end and begins with `margin`.
  std::string text(const std::string& margin = "") const;

 private:
  std::vector<std::string> titles_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that a terminal gives this UTF-8 text, one for each character.
std::size_t width_of(const std::string& text);

}  // namespace troupe::cli
