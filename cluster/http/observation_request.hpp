// What a query asks of monitoring. Pure.
#pragma once

#include <string_view>
#include <variant>

#include "cluster/http/routes.hpp"
#include "proto/profile.pb.h"
#include "proto/telemetry.pb.h"

namespace troupe::http {

// seconds=120&node=a&series=cpu_share; node and series once each, absent: all.
std::variant<proto::ReadHistory, api_error> read_history_query(std::string_view query);
// node=a&level=warn&actor=gateway&job=0198c6f2&lines=100&after=a:5:120,b:7:88, where after is each
// node's incarnation and last sequence, as `next` told them.
std::variant<proto::ReadLog, api_error> read_log_query(std::string_view query);
// node=a&seconds=10&kind=heap; absent: this node, 10 seconds, cpu.
std::variant<proto::ReadProfile, api_error> read_profile_query(std::string_view query);

}  // namespace troupe::http
