// The ids of a job's trace and spans: functions of the job, so that its gateway, its monitoring and
// a gateway that takes it up again after a restart name them alike without asking each other.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/envelope.pb.h"

namespace troupe {

inline std::uint64_t mixed(std::uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

inline std::uint64_t eight_bytes(std::string_view bytes) {
  std::uint64_t out = 0;
  for (const char c : bytes.substr(0, 8)) out = (out << 8) | static_cast<unsigned char>(c);
  return out;
}

// Number 0 is the job's root span. Never 0: that means no span.
inline std::uint64_t span_id(std::string_view job_id, std::uint64_t number) {
  std::uint64_t x = 0x9e3779b97f4a7c15u;
  for (const char c : job_id) x = mixed(x ^ static_cast<unsigned char>(c));
  x = mixed(x + (number + 1) * 0x9e3779b97f4a7c15u);
  return x == 0 ? 1 : x;
}

inline std::uint64_t attempt_span_id(std::string_view job_id, std::uint32_t attempt) {
  return span_id(job_id, (std::uint64_t{1} << 32) + attempt);
}

// The job's own context: the client's trace where it brought one, else one of the job's own id.
inline proto::TraceContext context_of_job(const proto::TraceContext& brought,
                                          std::string_view job_id) {
  proto::TraceContext out = brought;
  if (out.trace_high() == 0 && out.trace_low() == 0) {
    out.set_trace_high(eight_bytes(job_id));
    out.set_trace_low(job_id.size() > 8 ? eight_bytes(job_id.substr(8)) : 1);
    out.set_flags(0);
  }
  out.set_span(span_id(job_id, 0));
  return out;
}

}  // namespace troupe
