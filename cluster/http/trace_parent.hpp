// The header "traceparent" of W3C Trace Context: 00-<32 digits>-<16 digits>-<2 digits>. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/envelope.pb.h"

namespace troupe::http {

// nullopt: it is none, and the request begins a trace of its own. A later version's further fields
// are not looked at.
std::optional<proto::TraceContext> read_trace_parent(std::string_view header);
std::string trace_parent_of(const proto::TraceContext& context);

}  // namespace troupe::http
