// What this node's engines have counted, for monitoring.
#pragma once

#include "actors/inference/inference_settings.hpp"
#include "proto/monitoring.pb.h"

namespace troupe::cluster {

void read_engines(const inference_load& load, proto::NodeMetrics& to);

}  // namespace troupe::cluster
