#include "kernels/chat_template/text_format.hpp"

#include <charconv>
#include <cmath>

#include "kernels/chat_template/value_rules.hpp"
#include "kernels/chat_template/value_text.hpp"

namespace troupe::kernels::chat {

namespace {

constexpr int default_precision = 6;

std::string fixed(double x, int precision) {
  char text[700];
  const auto written =
      std::to_chars(text, text + sizeof(text), x, std::chars_format::fixed, precision);
  return std::string(text, written.ptr);
}

std::string hexadecimal(std::int64_t n) {
  char text[24];
  const auto written = std::to_chars(text, text + sizeof(text), n, 16);
  return std::string(text, written.ptr);
}

void add_number(text_builder& out, char conversion, int precision, const value& v) {
  const auto real = number_of(v);
  if (is_undefined(v)) fail_undefined(v);
  if (!real)
    fail(std::string("%") + conversion + " format: a number is required, not " +
         std::string(type_name(v)));
  if (conversion == 'f') return void(out.add(fixed(*real, precision)));
  auto whole = integer_of(v);
  if (!whole && conversion != 'x' && std::fabs(*real) < 9e18)
    whole = static_cast<std::int64_t>(*real);
  if (!whole) fail("a float cannot be written as %" + std::string(1, conversion));
  out.add(conversion == 'x' ? hexadecimal(*whole) : std::to_string(*whole));
}

// The precision of "%.2f", at the dot; goes past it.
int read_precision(std::string_view format, std::size_t& at) {
  int precision = 0;
  const char* end = format.data() + format.size();
  const auto read = std::from_chars(format.data() + at + 1, end, precision);
  if (read.ec != std::errc{} || precision > 100) fail_unsupported("a precision in a % format");
  at = static_cast<std::size_t>(read.ptr - format.data());
  return precision;
}

}  // namespace

value percent_format(rendering& run, std::string_view format, std::span<const value> given) {
  text_builder out(run);
  std::size_t used = 0;
  for (std::size_t at = 0; at < format.size(); ++at) {
    const std::size_t plain = std::min(format.find('%', at), format.size());
    out.add(format.substr(at, plain - at));
    at = plain + 1;
    if (plain == format.size()) break;
    if (at == format.size()) fail("incomplete format");
    if (format[at] == '%') {
      out.add("%");
      continue;
    }
    int precision = default_precision;
    const bool precise = format[at] == '.';
    if (precise) precision = read_precision(format, at);
    const char conversion = at < format.size() ? format[at] : '\0';
    const bool number =
        conversion == 'd' || conversion == 'i' || conversion == 'f' || conversion == 'x';
    if ((precise && conversion != 'f') || (!number && conversion != 's' && conversion != 'r'))
      fail_unsupported("this % format is not supported: '" + std::string(format) + "'",
                       "of its forms, %s %r %d %i %x %f %.2f and %% are");
    if (used == given.size()) fail("not enough arguments for format string");
    const value& next = given[used++];
    if (conversion == 's')
      add_text(out, next);
    else if (conversion == 'r')
      add_repr(out, next);
    else
      add_number(out, conversion, precision, next);
  }
  if (used < given.size() && !as_mapping(given.front()))
    fail("not all arguments converted during string formatting");
  return out.finish();
}

namespace {

const value& field(std::string_view name, const call_arguments& given, std::size_t& next) {
  std::size_t place = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), place);
  const bool number = read.ec == std::errc{} && read.ptr == name.data() + name.size();
  if (name.empty()) place = next++;
  if (name.empty() || number) {
    if (place >= given.positional.size())
      fail("Replacement index " + std::to_string(place) + " out of range");
    return given.positional[place];
  }
  for (const auto& [known, held] : given.named)
    if (known == name) return held;
  if (name.find_first_of(".[:!") != name.npos)
    fail_unsupported("this field of format() is not supported: '{" + std::string(name) + "}'");
  fail("format() has no argument '" + std::string(name) + "'");
}

}  // namespace

value brace_format(rendering& run, std::string_view format, const call_arguments& given) {
  text_builder out(run);
  std::size_t next = 0;
  for (std::size_t at = 0; at < format.size();) {
    const std::size_t plain = std::min(format.find_first_of("{}", at), format.size());
    out.add(format.substr(at, plain - at));
    if (plain == format.size()) break;
    at = plain + 1;
    if (at < format.size() && format[at] == format[plain]) {
      out.add(format.substr(at++, 1));
      continue;
    }
    const std::size_t close = format.find('}', at);
    if (format[plain] == '}' || close == format.npos) fail("a single brace in a format string");
    add_text(out, field(format.substr(at, close - at), given, next));
    at = close + 1;
  }
  return out.finish();
}

}  // namespace troupe::kernels::chat
