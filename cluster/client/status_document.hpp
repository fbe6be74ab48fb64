// The cluster's status as JSON: every field of proto/monitoring.proto under its own name, in the
// order of the script.
#pragma once

#include <string>

#include "proto/monitoring.pb.h"

namespace troupe::client {

std::string status_document(const proto::ClusterStatus& status);

}  // namespace troupe::client
