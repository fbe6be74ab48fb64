// The cluster's status as JSON: every field of proto/monitoring.proto under its own name, in the
// order of the script.
#pragma once

#include <string>

#include "proto/monitoring.pb.h"

namespace troupe::client {

// Any message as JSON: job ids as UUIDs, fixed64 (hashes, ids of spans) in hexadecimal, what is not
// a number as null.
std::string document_of(const google::protobuf::Message& message, bool indented = false);
std::string status_document(const proto::ClusterStatus& status);

}  // namespace troupe::client
