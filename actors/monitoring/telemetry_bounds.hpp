// How much monitoring holds and tells at most. proto/telemetry.proto names these bounds.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace troupe::telemetry {

inline constexpr std::size_t jobs_shown_max = 256;   // of one gateway, in a picture
inline constexpr std::size_t nodes_known_max = 256;  // that are gone as well
inline constexpr std::chrono::hours nodes_known_for{1};
inline constexpr std::size_t story_steps_max = 128;
inline constexpr std::size_t story_spans_max = 256;
inline constexpr std::size_t stories_running_max = 1024;
inline constexpr std::size_t stories_ended_max = 512;  // and as many that failed, were slow or
                                                       // went on elsewhere
inline constexpr std::size_t history_values_max = 450;
inline constexpr std::size_t history_series_max = 48;
inline constexpr std::chrono::milliseconds history_step{2'000};
inline constexpr std::size_t log_lines_kept = 4096;
inline constexpr std::size_t log_line_bytes_max = 2048;
inline constexpr std::uint32_t log_lines_told = 100, log_lines_told_max = 500;
inline constexpr std::size_t job_prefix_bytes_min = 4;

}  // namespace troupe::telemetry
