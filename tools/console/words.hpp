// Figures and names as the console writes them: short, with a unit, safe to put on a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::console {

// Text of others, fit for a terminal: control characters (escape sequences begin with one) and
// bytes that are no UTF-8 become '?', line ends and tabs a blank.
std::string printable(std::string_view text);

std::size_t width_of(std::string_view text);  // columns; a character counts as one
std::string cut(std::string_view text,
                std::size_t width);  // ends in "~" where something is left out
std::string padded(std::string_view text, std::size_t width,
                   bool right);  // cut, or filled with blanks

// Lines of at most that many columns, broken at blanks; one at least.
std::vector<std::string> wrapped(std::string_view text, std::size_t width);

std::string duration_text(
    double seconds);  // "0 ms", "0.42 ms", "210 ms", "2.1 s", "3 min", "2.5 h", "4 d"
std::string bytes_text(double bytes);      // "512 B", "1.5 GiB"
std::string rate_text(double per_second);  // "0", "0.42", "12.3", "1480", "15 k"
std::string share_text(double share);      // "7 %"; "-" where it is no number
std::string clock_text(std::uint64_t us);  // "08:14:02", this machine's time zone
std::string ago_text(double seconds);      // "3:20" minutes and seconds
// The last eight hexadecimal digits of 16 bytes: the first are the time, the same for a minute's
// jobs.
std::string job_text(std::string_view id);
std::string hex_text(std::string_view bytes);
std::string count_text(std::uint64_t count, std::string_view one, std::string_view many);

// `share` of `width` columns, filled; 0..1, else clamped. ASCII where not unicode.
std::string bar_text(double share, std::size_t width, bool unicode);

}  // namespace troupe::console
