#include "tools/console/words.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace troupe::console {
namespace {

// Bytes of the UTF-8 character that begins here; 0: none does.
std::size_t character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 && first < 0xf5   ? 4
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xc2 && first < 0xe0 ? 2
                                                             : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  if ((first == 0xe0 && byte(at + 1) < 0xa0) || (first == 0xf0 && byte(at + 1) < 0x90)) return 0;
  return length;
}

std::string formatted(const char* how, double value) {
  char out[64];
  std::snprintf(out, sizeof out, how, value);
  return out;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = character_at(text, i);
    const auto first = static_cast<unsigned char>(text[i]);
    if (length == 0) {
      out += '?';
      ++i;
    } else if (length == 1) {
      out += first == '\n' || first == '\t' || first == '\r' ? ' '
             : first < 0x20 || first == 0x7f                 ? '?'
                                                             : text[i];
      ++i;
    } else {
      // C1 control characters are two bytes, and some terminals obey them.
      const bool control = first == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
      // So do they obey marks that turn the direction of writing (U+202A.., U+2066..).
      const bool turns =
          length == 3 && first == 0xe2 &&
          ((text[i + 1] == '\x80' && static_cast<unsigned char>(text[i + 2]) >= 0xa8 &&
            static_cast<unsigned char>(text[i + 2]) <= 0xae) ||
           (text[i + 1] == '\x81' && static_cast<unsigned char>(text[i + 2]) >= 0xa6));
      if (control || turns)
        out += '?';
      else
        out += text.substr(i, length);
      i += length;
    }
  }
  return out;
}

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xc0) != 0x80; }));
}

std::string cut(std::string_view text, std::size_t width) {
  if (width_of(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t end = 0, columns = 0;
  while (end < text.size() && columns + 1 < width) {
    ++end;
    while (end < text.size() && (text[end] & 0xc0) == 0x80) ++end;
    ++columns;
  }
  return std::string(text.substr(0, end)) + "~";
}

std::string padded(std::string_view text, std::size_t width, bool right) {
  std::string out = cut(text, width);
  const std::string blanks(width - std::min(width, width_of(out)), ' ');
  return right ? blanks + out : out + blanks;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> out;
  width = std::max<std::size_t>(width, 1);
  do {
    std::size_t end = text.size();
    if (width_of(text) > width) {
      end = 0;
      for (std::size_t columns = 0; columns < width; ++columns) do
          ++end;
        while (end < text.size() && (text[end] & 0xc0) == 0x80);
      if (const std::size_t blank = text.rfind(' ', end); blank != text.npos && blank > 0)
        end = blank;
    }
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(
        std::min(end + (end < text.size() && text[end] == ' ' ? 1 : 0), text.size()));
  } while (!text.empty());
  return out;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  if (seconds > 0 && seconds < 0.00995) return formatted("%.2f ms", seconds * 1000);
  if (seconds < 0.9995) return formatted("%.0f ms", seconds * 1000);
  if (seconds < 9.95) return formatted("%.1f s", seconds);
  if (seconds < 119.5) return formatted("%.0f s", seconds);
  if (seconds < 119.5 * 60) return formatted("%.0f min", seconds / 60);
  if (seconds < 48 * 3600) return formatted("%.1f h", seconds / 3600);
  return formatted("%.0f d", seconds / 86400);
}

std::string bytes_text(double bytes) {
  if (!std::isfinite(bytes) || bytes < 0) return "-";
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(units)) bytes /= 1024, ++unit;
  return formatted(unit == 0 || bytes >= 99.95 ? "%.0f " : "%.1f ", bytes) + units[unit];
}

std::string rate_text(double per_second) {
  if (!std::isfinite(per_second)) return "-";
  if (per_second < 0.005) return "0";
  if (per_second < 0.995) return formatted("%.2f", per_second);
  if (per_second < 99.95) return formatted("%.1f", per_second);
  if (per_second < 9999.5) return formatted("%.0f", per_second);
  return formatted("%.0f k", per_second / 1000);
}

std::string share_text(double share) {
  return std::isfinite(share) ? formatted("%.0f %%", share * 100) : "-";
}

std::string clock_text(std::uint64_t us) {
  const std::time_t seconds = static_cast<std::time_t>(us / 1'000'000);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char out[16];
  std::strftime(out, sizeof out, "%H:%M:%S", &parts);
  return out;
}

std::string ago_text(double seconds) {
  const long whole =
      std::isfinite(seconds) && seconds > 0 ? std::lround(std::min(seconds, 1e6)) : 0;
  char out[32];
  std::snprintf(out, sizeof out, "%ld:%02ld", whole / 60, whole % 60);
  return out;
}

std::string hex_text(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(byte) & 15];
  }
  return out;
}

std::string job_text(std::string_view id) {
  return hex_text(id.substr(id.size() - std::min<std::size_t>(id.size(), 4)));
}

std::string count_text(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string bar_text(double share, std::size_t width, bool unicode) {
  const double full = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0;
  const auto filled = static_cast<std::size_t>(std::lround(full * static_cast<double>(width)));
  std::string out;
  for (std::size_t i = 0; i < width; ++i)
    out += unicode ? (i < filled ? "█" : "░") : (i < filled ? "#" : ".");
  return out;
}

}  // namespace troupe::console
