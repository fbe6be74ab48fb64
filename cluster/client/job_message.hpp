// A job as the caller describes it, as the message that asks for it. Pure.
#pragma once

#include <string>

#include "cluster/client/troupe.hpp"
#include "proto/job.pb.h"

namespace troupe::client {

// What can be told here already: text that is not UTF-8 and wishes that exclude each other
// (invalid_argument). Everything else is the gateway's to judge.
status check_job(const job& request);

// id: 16 bytes. The job was checked.
proto::SubmitJob message_of(const job& request, std::string id);

}  // namespace troupe::client
