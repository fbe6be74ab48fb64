// A node's last log lines, for who asks from afar.
//
// Under flood it keeps a sample: of one kind (a line's first word) the first kind_lines of a
// second, then every tenth, beyond a thousand every hundredth; the next line that is kept tells how
// many were left out. Threading: any thread; a short lock, nothing blocks. Bounded by lines and by
// their length.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "actors/core.hpp"
#include "actors/monitoring/telemetry_bounds.hpp"
#include "config/outcome.hpp"

namespace troupe {

struct log_line {
  proto::LogLevel level = proto::LEVEL_INFO;
  std::uint64_t at_us = 0;  // since 1970
  std::string_view actor, text;
};

class log_ring {
 public:
  log_ring(std::string node, std::uint64_t incarnation,
           std::size_t lines_max = telemetry::log_lines_kept)
      : node_(std::move(node)), incarnation_(incarnation), lines_max_(lines_max) {}

  void add(const log_line& line);
  // What fits the filters behind the node's cursor, oldest first; without one, the last lines.
  void read(const proto::ReadLog& asked, proto::LogPart& to) const;

  std::uint64_t seen() const;
  std::uint64_t left_out() const;

 private:
  static constexpr std::size_t kinds_max = 256;
  static constexpr std::uint32_t kind_lines = 50, tenth_until = 1000;
  struct flow {
    std::uint64_t second = 0;
    std::uint32_t lines = 0, left_out = 0;
  };
  bool keeps(flow& kind, std::uint64_t second) const;

  const std::string node_;
  const std::uint64_t incarnation_;
  const std::size_t lines_max_;
  mutable std::mutex guard_;
  std::map<std::string, flow, std::less<>> kinds_;
  std::deque<proto::LogLine> lines_;
  std::uint64_t sequence_ = 0;  // of the last line kept
  std::uint64_t seen_ = 0, left_out_ = 0;
};

// invalid_argument: a job prefix too short, more lines than are told at once.
status check_log_request(const proto::ReadLog& asked);

}  // namespace troupe
