#include "kernels/chat_template/calendar_text.hpp"

#include <array>

#include "kernels/chat_template/failure.hpp"

namespace troupe::kernels::chat {

namespace {

using namespace std::chrono;

constexpr std::array<std::string_view, 12> months = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> days = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                  "Thursday", "Friday", "Saturday"};
constexpr std::size_t short_name = 3;

struct moment {
  year_month_day date;
  weekday day;
  hh_mm_ss<seconds> clock;
  int day_of_year;
};

moment moment_of(local_seconds time) {
  const auto midnight = floor<std::chrono::days>(time);
  const year_month_day date(midnight);
  const local_days first(date.year() / January / 1);
  return {date, weekday(midnight), hh_mm_ss<seconds>(time - midnight),
          static_cast<int>((midnight - first).count()) + 1};
}

std::string padded(long number, std::size_t width, char with) {
  std::string text = std::to_string(number);
  return text.size() < width ? std::string(width - text.size(), with) + text : text;
}

std::string one_field(const moment& m, char letter, char pad);

std::string fields(const moment& m, std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts)
    text += part.size() == 2 ? one_field(m, part[1], '0') : std::string(part);
  return text;
}

// pad: '0', ' ', or '-' for none.
std::string one_field(const moment& m, char letter, char pad) {
  const auto number = [&](long n, std::size_t width) {
    return pad == '-' ? std::to_string(n) : padded(n, width, pad);
  };
  const long hour = m.clock.hours().count(), half_day = hour % 12 == 0 ? 12 : hour % 12;
  const auto month = static_cast<unsigned>(m.date.month());
  const auto day = static_cast<unsigned>(m.date.day());
  switch (letter) {
    case 'Y':
      return std::to_string(static_cast<int>(m.date.year()));
    case 'y':
      return number(static_cast<int>(m.date.year()) % 100, 2);
    case 'm':
      return number(month, 2);
    case 'd':
      return number(day, 2);
    case 'e':
      return padded(day, 2, ' ');
    case 'j':
      return number(m.day_of_year, 3);
    case 'B':
      return std::string(months[month - 1]);
    case 'b':
    case 'h':
      return std::string(months[month - 1].substr(0, short_name));
    case 'A':
      return std::string(days[m.day.c_encoding()]);
    case 'a':
      return std::string(days[m.day.c_encoding()].substr(0, short_name));
    case 'w':
      return std::to_string(m.day.c_encoding());
    case 'u':
      return std::to_string(m.day.iso_encoding());
    case 'H':
      return number(hour, 2);
    case 'I':
      return number(half_day, 2);
    case 'M':
      return number(m.clock.minutes().count(), 2);
    case 'S':
      return number(m.clock.seconds().count(), 2);
    case 'p':
      return hour < 12 ? "AM" : "PM";
    case 'F':
      return fields(m, {"%Y", "-", "%m", "-", "%d"});
    case 'T':
    case 'X':
      return fields(m, {"%H", ":", "%M", ":", "%S"});
    case 'R':
      return fields(m, {"%H", ":", "%M"});
    case 'D':
    case 'x':
      return fields(m, {"%m", "/", "%d", "/", "%y"});
    case 'c':
      return fields(m, {"%a", " ", "%b", " ", "%e", " ", "%T", " ", "%Y"});
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case '%':
      return "%";
    default:
      fail_unsupported(std::string("strftime_now does not know %") + letter);
  }
}

}  // namespace

std::string calendar_text(local_seconds time, std::string_view format) {
  const moment m = moment_of(time);
  std::string text;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%' || at + 1 == format.size()) {
      text += format[at];
      continue;
    }
    const bool bare = format[at + 1] == '-' && at + 2 < format.size();
    at += bare ? 2 : 1;
    text += one_field(m, format[at], bare ? '-' : '0');
  }
  return text;
}

}  // namespace troupe::kernels::chat
