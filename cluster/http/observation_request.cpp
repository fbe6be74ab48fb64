#include "cluster/http/observation_request.hpp"

#include <charconv>
#include <optional>
#include <string>

#include "actors/monitoring/profile_relay.hpp"

namespace troupe::http {
namespace {

constexpr std::size_t cursors_max = 256;
constexpr std::uint32_t profile_seconds_usual = 10;

std::optional<proto::LogLevel> level_of(std::string_view name) {
  constexpr std::string_view names[] = {"trace", "debug", "info", "warn", "error", "critical"};
  for (int i = 0; i < 6; ++i)
    if (names[i] == name) return static_cast<proto::LogLevel>(i);
  return std::nullopt;
}

std::optional<std::uint64_t> number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  return whole && !digits.empty() ? std::optional(value) : std::nullopt;
}

bool read_cursor(std::string_view text, proto::LogCursor& to) {
  const std::size_t last = text.rfind(':');
  if (last == std::string_view::npos || last == 0) return false;
  const std::size_t first = text.rfind(':', last - 1);
  if (first == std::string_view::npos || first == 0) return false;
  const auto incarnation = number(text.substr(first + 1, last - first - 1));
  const auto sequence = number(text.substr(last + 1));
  if (!incarnation || !sequence) return false;
  to.set_node(std::string(text.substr(0, first)));
  to.set_incarnation(*incarnation);
  to.set_sequence(*sequence);
  return true;
}

}  // namespace

std::variant<proto::ReadHistory, api_error> read_history_query(std::string_view query) {
  proto::ReadHistory out;
  const auto seconds = query_number(query, "seconds", 0);
  const auto node = query_text(query, "node"), series = query_text(query, "series");
  if (!seconds) return wrong_request(400, "seconds is a whole number");
  if (!node || !series) return wrong_request(400, "the query has a broken % escape");
  out.set_seconds(*seconds);
  if (!node->empty()) out.add_nodes(*node);
  if (!series->empty()) out.add_series(*series);
  return out;
}

std::variant<proto::ReadLog, api_error> read_log_query(std::string_view query) {
  proto::ReadLog out;
  const auto lines = query_number(query, "lines", 0);
  if (!lines) return wrong_request(400, "lines is a whole number");
  out.set_lines_max(*lines);
  const auto node = query_text(query, "node"), level = query_text(query, "level"),
             actor = query_text(query, "actor"), job = query_text(query, "job"),
             after = query_text(query, "after");
  if (!node || !level || !actor || !job || !after)
    return wrong_request(400, "the query has a broken % escape");
  const auto least = level->empty() ? std::optional(proto::LEVEL_TRACE) : level_of(*level);
  if (!least)
    return wrong_request(400, "level is one of trace, debug, info, warn, error and critical");
  out.set_node(*node);
  out.set_level(*least);
  out.set_actor(*actor);
  out.set_job(*job);
  for (std::string_view rest = *after; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    if (static_cast<std::size_t>(out.after_size()) >= cursors_max ||
        !read_cursor(one, *out.add_after()))
      return wrong_request(400,
                           "after is NODE:INCARNATION:SEQUENCE, as `next` told them, with "
                           "commas between");
  }
  return out;
}

std::variant<proto::ReadProfile, api_error> read_profile_query(std::string_view query) {
  proto::ReadProfile out;
  const auto seconds = query_number(query, "seconds", profile_seconds_usual);
  const auto node = query_text(query, "node"), kind = query_text(query, "kind");
  if (!seconds || *seconds < 1 || *seconds > profile_seconds_max)
    return wrong_request(
        400, "seconds is a whole number from 1 to " + std::to_string(profile_seconds_max));
  if (!node || !kind) return wrong_request(400, "the query has a broken % escape");
  if (!kind->empty() && *kind != "cpu" && *kind != "heap")
    return wrong_request(400, "kind is cpu or heap");
  out.set_node(*node);
  out.set_seconds(*seconds);
  out.set_kind(*kind == "heap" ? proto::PROFILE_HEAP : proto::PROFILE_CPU);
  return out;
}

}  // namespace troupe::http
