#include "actors/monitoring/log_ring.hpp"

#include <algorithm>

namespace troupe {
namespace {

std::string_view kind_of(std::string_view text) {
  return text.substr(0, std::min<std::size_t>(text.find(' '), 64));
}

// Cut where a character begins.
std::string_view shortened(std::string_view text) {
  if (text.size() <= telemetry::log_line_bytes_max) return text;
  std::size_t end = telemetry::log_line_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

bool valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80           ? 1
                               : (lead >> 5) == 0x6  ? 2
                               : (lead >> 4) == 0xe  ? 3
                               : (lead >> 3) == 0x1e ? 4
                                                     : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    const bool overlong = (lead == 0xc0 || lead == 0xc1);
    if (overlong) return false;
    i += length;
  }
  return true;
}

// A line is a string field of a message: what is not UTF-8 would not be parsed by its reader.
std::string as_utf8(std::string_view text) {
  std::string out(text);
  if (valid_utf8(out)) return out;
  for (char& c : out)
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  return out;
}

bool fits(const proto::LogLine& line, const proto::ReadLog& asked, const std::string& job) {
  return line.level() >= asked.level() &&
         (asked.actor().empty() || line.actor() == asked.actor()) &&
         (job.empty() || line.text().find(job) != std::string::npos);
}

}  // namespace

bool log_ring::keeps(flow& kind, std::uint64_t second) const {
  if (kind.second != second) {
    kind.second = second;
    kind.lines = 0;
  }
  const std::uint32_t line = kind.lines++;
  const bool kept = line < kind_lines || (line < tenth_until ? line % 10 == 0 : line % 100 == 0);
  if (!kept) ++kind.left_out;
  return kept;
}

void log_ring::add(const log_line& line) {
  const std::string_view name = kind_of(line.text);
  const std::lock_guard lock{guard_};
  ++seen_;
  auto kind = kinds_.find(name);
  if (kind == kinds_.end())
    kind =
        kinds_.emplace(kinds_.size() < kinds_max ? std::string(name) : std::string("other"), flow{})
            .first;
  if (!keeps(kind->second, line.at_us / 1'000'000)) {
    ++left_out_;
    return;
  }
  proto::LogLine& kept = lines_.emplace_back();
  kept.set_node(node_);
  kept.set_sequence(++sequence_);
  kept.set_at_us(line.at_us);
  kept.set_level(line.level);
  kept.set_actor(std::string(line.actor));
  kept.set_text(as_utf8(shortened(line.text)));
  kept.set_more_alike(kind->second.left_out);
  kind->second.left_out = 0;
  if (lines_.size() > lines_max_) lines_.pop_front();
}

void log_ring::read(const proto::ReadLog& asked, proto::LogPart& to) const {
  const std::size_t most = asked.lines_max() == 0
                               ? telemetry::log_lines_told
                               : std::min(asked.lines_max(), telemetry::log_lines_told_max);
  const std::string job = asked.job().empty() ? std::string() : "job=" + asked.job();
  const proto::LogCursor* after = nullptr;
  for (const proto::LogCursor& cursor : asked.after())
    if (cursor.node() == node_) after = &cursor;
  const std::lock_guard lock{guard_};
  std::uint64_t last = sequence_;
  if (after) {
    const std::uint64_t from = after->incarnation() == incarnation_ ? after->sequence() : 0;
    if (!lines_.empty() && from + 1 < lines_.front().sequence())
      to.set_dropped(to.dropped() + lines_.front().sequence() - from - 1);
    std::size_t told = 0;
    for (const proto::LogLine& line : lines_) {
      if (line.sequence() <= from || !fits(line, asked, job)) continue;
      if (told == most) {
        last = to.lines(to.lines_size() - 1).sequence();
        break;
      }
      *to.add_lines() = line;
      ++told;
    }
  } else {
    std::vector<const proto::LogLine*> newest;
    for (auto line = lines_.rbegin(); line != lines_.rend() && newest.size() < most; ++line)
      if (fits(*line, asked, job)) newest.push_back(&*line);
    for (auto line = newest.rbegin(); line != newest.rend(); ++line) *to.add_lines() = **line;
  }
  proto::LogCursor& next = *to.add_next();
  next.set_node(node_);
  next.set_sequence(last);
  next.set_incarnation(incarnation_);
}

std::uint64_t log_ring::seen() const {
  const std::lock_guard lock{guard_};
  return seen_;
}

std::uint64_t log_ring::left_out() const {
  const std::lock_guard lock{guard_};
  return left_out_;
}

status check_log_request(const proto::ReadLog& asked) {
  if (!asked.job().empty() && asked.job().size() < telemetry::job_prefix_bytes_min)
    return error{error_code::invalid_argument, "\"" + asked.job() + "\" is too short to name a job",
                 "give its id, or at least its first 4 characters"};
  if (asked.lines_max() > telemetry::log_lines_told_max)
    return error{error_code::invalid_argument,
                 std::to_string(asked.lines_max()) + " log lines are more than are told at once",
                 "ask for at most " + std::to_string(telemetry::log_lines_told_max) +
                     ", and go on from `next`"};
  return {};
}

}  // namespace troupe
