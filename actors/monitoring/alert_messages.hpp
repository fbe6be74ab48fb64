// Alerts as others take them. Pure.
#pragma once

#include <string>
#include <vector>

#include "proto/monitoring.pb.h"

namespace troupe {

// {"alerts": [{"name": ..., "severity": ..., "state": "lasts" | "ended", ...}]}
std::string webhook_body(const std::vector<proto::Alert>& alerts);
// For Alertmanager's POST /api/v2/alerts: labels tell alerts apart, so nothing that changes is one.
std::string alertmanager_body(const std::vector<proto::Alert>& alerts);
// For the log: "alert_raised name=... ", key=value.
std::string log_line_of(const proto::Alert& alert);
const char* severity_name(proto::Severity severity);  // "warning"

}  // namespace troupe
