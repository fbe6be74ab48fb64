// A job's steps as its gateway tells them to monitoring. Pure.
#pragma once

#include "cluster/gateway/job_record.hpp"

namespace troupe::cluster {

proto::ObserveStep step_of(const job_record& job, proto::StepKind kind, time_point_us now);
proto::ObserveStep failed_step(const job_record& job, proto::StepKind kind, const proto::Error& why,
                               time_point_us now);
proto::ObserveStep ended_attempt(const job_record& job, const proto::SequenceFinished& ending,
                                 time_point_us now);

}  // namespace troupe::cluster
