#include "tools/console/table.hpp"

#include <algorithm>
#include <cctype>
#include <sstream>

namespace troupe::console {
namespace {

constexpr std::size_t gap = 2;

std::string lower(std::string text) {
  for (char& byte : text) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
  return text;
}

bool before(const cell& left, const cell& right) {
  const bool left_number = !std::isnan(left.order), right_number = !std::isnan(right.order);
  if (left_number && right_number) return left.order < right.order;
  if (left_number != right_number) return right_number;
  return left.text < right.text;
}

}  // namespace

void filter(table& rows, const std::string& words) {
  std::istringstream in(lower(words));
  std::vector<std::string> wanted;
  for (std::string word; in >> word;) wanted.push_back(word);
  if (wanted.empty()) return;
  std::erase_if(rows.rows, [&](const row& one) {
    std::string all;
    for (const cell& part : one.cells) all += part.text + "\n";
    all = lower(all);
    return !std::all_of(wanted.begin(), wanted.end(), [&](const std::string& word) {
      return all.find(word) != std::string::npos;
    });
  });
  if (rows.rows.empty())
    rows.empty = "Nothing here has \"" + words + "\" in it (Esc takes the filter away).";
}

void sort(table& rows, const sorting& by) {
  const auto at = static_cast<std::size_t>(by.column);
  if (by.column < 0 || at >= rows.columns.size()) return;
  std::stable_sort(rows.rows.begin(), rows.rows.end(), [&](const row& left, const row& right) {
    const cell none;
    const cell& one = at < left.cells.size() ? left.cells[at] : none;
    const cell& other = at < right.cells.size() ? right.cells[at] : none;
    return by.down ? before(other, one) : before(one, other);
  });
}

std::vector<std::size_t> widths_of(const table& rows, std::size_t width) {
  std::vector<std::size_t> out;
  for (const column& one : rows.columns) out.push_back(one.width);
  const auto total = [&] {
    std::size_t sum = 0;
    for (const std::size_t one : out) sum += one == 0 ? 0 : one + gap;
    return sum == 0 ? 0 : sum - gap;
  };
  while (total() > width) {
    std::size_t victim = out.size();
    for (std::size_t i = 0; i < out.size(); ++i)
      if (out[i] > 0 && rows.columns[i].drop > 0 &&
          (victim == out.size() || rows.columns[i].drop >= rows.columns[victim].drop))
        victim = i;
    if (victim == out.size()) break;
    out[victim] = 0;
  }
  const std::size_t sum = total();
  for (std::size_t i = 0; i < out.size(); ++i)
    if (rows.columns[i].grows && out[i] > 0) {
      if (sum < width)
        out[i] += width - sum;
      else
        out[i] -= std::min(out[i] - 1, sum - width);
      break;
    }
  return out;
}

}  // namespace troupe::console
