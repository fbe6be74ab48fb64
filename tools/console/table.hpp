// Rows in columns as the console keeps them: what stands in a cell, how it is sorted and filtered.
// Pure, and without a word on how it is drawn.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace troupe::console {

// What a text means; never told by colour alone.
enum class tone { plain, good, warn, bad, faint, strong };

struct cell {
  std::string text;  // printable
  tone look = tone::plain;
  double order = std::numeric_limits<double>::quiet_NaN();  // sorted by it; NaN: by the text
  double bar = std::numeric_limits<double>::quiet_NaN();    // 0..1: a bar stands before the text
  std::vector<float> values = {};  // a line of small blocks instead of text
};

struct column {
  std::string title;
  std::size_t width = 8;
  bool right = false;  // numbers
  bool grows = false;  // takes what is left
  unsigned drop = 0;   // where it is narrow the highest goes first; 0: never
};

struct row {
  std::string id;  // stays the same from picture to picture
  std::vector<cell> cells;
};

struct table {
  std::vector<column> columns;
  std::vector<row> rows;
  std::string empty;  // what to say where there is no row
};

struct sorting {
  int column = -1;  // -1: as the table comes
  bool down = false;
};

// Keeps rows in which every word of the filter stands (in any cell, upper and lower case alike).
void filter(table& rows, const std::string& words);
// Stable.
void sort(table& rows, const sorting& by);
// Widths of the columns that fit into `width` with a gap of two; 0: left out.
std::vector<std::size_t> widths_of(const table& rows, std::size_t width);

}  // namespace troupe::console
