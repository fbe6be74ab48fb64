#include "tools/console/terminal_kind.hpp"

#include <algorithm>
#include <cctype>

namespace troupe::console {

terminal_kind kind_of(const std::function<std::string(const char*)>& variable) {
  terminal_kind out;
  const std::string term = variable("TERM");
  out.drawable = !term.empty() && term != "dumb" && term != "unknown";
  const bool old = term.starts_with("vt1") || term.starts_with("vt2") ||
                   term.starts_with("ansi-m") || term.ends_with("-m") || term.ends_with("-mono");
  if (!variable("NO_COLOR").empty() || !out.drawable || old) out.how = colours::none;
  // The first that is set decides, as in locale(7).
  std::string locale = variable("LC_ALL");
  if (locale.empty()) locale = variable("LC_CTYPE");
  if (locale.empty()) locale = variable("LANG");
  std::transform(locale.begin(), locale.end(), locale.begin(),
                 [](unsigned char byte) { return static_cast<char>(std::tolower(byte)); });
  const bool utf8 =
      locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  out.unicode =
      out.drawable && utf8 && !old && term != "linux";  // the kernel's console lacks most blocks
  return out;
}

}  // namespace troupe::console
