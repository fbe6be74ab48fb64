#include <algorithm>
#include <numeric>
#include <vector>

#include "config/setting_value.hpp"
#include "config/settings_table.hpp"

namespace troupe {
namespace {

std::string bound_text(const setting_row& row, double bound) {
  if (row.type == setting_type::number) return written_value(row, bound);
  return written_value(row, static_cast<std::int64_t>(bound));
}

std::string form_text(const setting_row& row) {
  switch (row.form) {
    case text_form::plain:
      return "text";
    case text_form::path:
      return "a path";
    case text_form::name:
      return "a name of A-Z a-z 0-9 . _ -";
    case text_form::endpoint:
      return "an address such as tcp://127.0.0.1:7411";
    case text_form::server:
      return "HOST:PORT or unix:/PATH";
    case text_form::choice: {
      std::string all = "one of";
      std::string_view rest = row.choices;
      while (true) {
        const std::size_t bar = rest.find('|');
        const std::string_view one = rest.substr(0, bar);
        all += one.empty() ? " \"\"" : " " + std::string(one);
        if (bar == std::string_view::npos) return all;
        rest.remove_prefix(bar + 1);
      }
    }
  }
  return "";
}

std::string count_text(double count) {
  return std::to_string(static_cast<std::int64_t>(count));
}

// Edits (insert, delete, replace, swap of neighbours) between two names.
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) table[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) table[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i)
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t best = std::min(table[i - 1][j], table[i][j - 1]) + 1;
      best = std::min(best, table[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        best = std::min(best, table[i - 2][j - 2] + 1);
      table[i][j] = best;
    }
  return table[a.size()][b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view wrong, std::span<const std::string_view> known) {
  if (wrong.size() > 128) return {};
  std::string_view nearest;
  std::size_t fewest = std::max<std::size_t>(2, wrong.size() / 5) + 1;
  for (const std::string_view one : known) {
    const std::size_t edits = edits_between(wrong, one);
    if (edits < fewest) {
      fewest = edits;
      nearest = one;
    }
  }
  return nearest;
}

std::string variable_of(std::string_view name) {
  std::string variable = "TROUPE_";
  for (const char c : name) variable += c == '.' ? '_' : c >= 'a' && c <= 'z' ? char(c - 32) : c;
  return variable;
}

std::string allowed_text(const setting_row& row) {
  const auto range = [&row] {
    return " from " + bound_text(row, row.minimum) + " to " + bound_text(row, row.maximum);
  };
  switch (row.type) {
    case setting_type::text: {
      const std::string length =
          row.form == text_form::choice ? "" : ", at most " + count_text(row.maximum) + " bytes";
      return form_text(row) + length +
             (row.minimum > 0 || row.form == text_form::choice ? "" : ", or empty");
    }
    case setting_type::flag:
      return "true or false";
    case setting_type::integer:
      return "a whole number" + range();
    case setting_type::number:
      return "a number" + range();
    case setting_type::bytes:
      return "a size such as 64MiB" + range();
    case setting_type::duration:
      return "a time such as 250ms" + range();
    case setting_type::text_list:
      return "a list of at most " + count_text(row.maximum) + ", each " + form_text(row);
    case setting_type::integer_list:
      return "a list of at most " + count_text(row.maximum) + " whole numbers from 0 to 65535";
  }
  return "";
}

std::string explain(std::string_view only) {
  std::string guide, section;
  for (const setting_row& row : settings_table()) {
    const std::string_view own_section = row.name.substr(0, row.name.find('.'));
    if (!only.empty() && only != row.name && only != own_section) continue;
    if (section != own_section) {
      section = own_section;
      guide += (guide.empty() ? "" : "\n") + section + ":\n";
    }
    guide += "  " + std::string(row.name.substr(section.size() + 1)) + ": " +
             (row.fallback.empty() ? (is_list(row) ? "[]" : "\"\"")
              : is_list(row)       ? "[" + std::string(row.fallback) + "]"
                                   : std::string(row.fallback)) +
             "\n";
    guide += "      " + std::string(row.about) + "\n";
    guide += "      Allowed: " + allowed_text(row) +
             (row.unit.empty() || row.unit == "bytes" ? "" : " (" + std::string(row.unit) + ")") +
             ".\n";
    guide += "      Environment: " + variable_of(row.name) + ".\n";
  }
  return guide;
}

}  // namespace troupe
