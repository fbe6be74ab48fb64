#include "cluster/http/trace_parent.hpp"

#include <cstdint>
#include <cstdio>

namespace troupe::http {
namespace {

// Lower case only, as the specification wants it.
std::optional<std::uint64_t> hexadecimal(std::string_view digits) {
  std::uint64_t out = 0;
  for (const char c : digits) {
    const bool number = c >= '0' && c <= '9', letter = c >= 'a' && c <= 'f';
    if (!number && !letter) return std::nullopt;
    out = out << 4 | static_cast<std::uint64_t>(number ? c - '0' : c - 'a' + 10);
  }
  return out;
}

}  // namespace

std::optional<proto::TraceContext> read_trace_parent(std::string_view header) {
  constexpr std::size_t length = 55;
  if (header.size() < length || header[2] != '-' || header[35] != '-' || header[52] != '-')
    return std::nullopt;
  const auto version = hexadecimal(header.substr(0, 2)), high = hexadecimal(header.substr(3, 16)),
             low = hexadecimal(header.substr(19, 16)), span = hexadecimal(header.substr(36, 16)),
             flags = hexadecimal(header.substr(53, 2));
  if (!version || !high || !low || !span || !flags || *version == 0xff) return std::nullopt;
  const bool longer = header.size() > length;
  if (longer && (*version == 0 || header[length] != '-')) return std::nullopt;
  if ((*high == 0 && *low == 0) || *span == 0) return std::nullopt;
  proto::TraceContext out;
  out.set_trace_high(*high);
  out.set_trace_low(*low);
  out.set_span(*span);
  out.set_flags(static_cast<std::uint32_t>(*flags & 1));
  return out;
}

std::string trace_parent_of(const proto::TraceContext& context) {
  char text[64];
  std::snprintf(text, sizeof text, "00-%016llx%016llx-%016llx-%02x",
                static_cast<unsigned long long>(context.trace_high()),
                static_cast<unsigned long long>(context.trace_low()),
                static_cast<unsigned long long>(context.span()), context.flags() & 1u);
  return text;
}

}  // namespace troupe::http
