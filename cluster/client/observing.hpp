// What the cluster's monitoring tells: the picture, jobs' stories, history, log lines. For consoles
// and scripts that keep looking.
//
// One session with the first node of `at` that answers; when that node goes, the next that is up is
// asked. Every call has a deadline. Threading: any thread. Errors: unavailable, deadline_exceeded,
// and what monitoring refuses (proto/telemetry.proto).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/client/troupe.hpp"
#include "proto/profile.pb.h"
#include "proto/telemetry.pb.h"

namespace troupe::client {

class observer {
 public:
  static result<std::unique_ptr<observer>> open(std::string_view at, connect_options options = {});
  virtual ~observer() = default;

  virtual result<proto::ClusterPicture> picture(std::chrono::milliseconds wait_max) = 0;
  // job: a UUID, or its beginning of at least 8 hexadecimal digits.
  virtual result<proto::JobStory> story(std::string_view job,
                                        std::chrono::milliseconds wait_max) = 0;
  virtual result<proto::ClusterHistory> history(const proto::ReadHistory& asked,
                                                std::chrono::milliseconds wait_max) = 0;
  virtual result<proto::LogPart> log(const proto::ReadLog& asked,
                                     std::chrono::milliseconds wait_max) = 0;
  // Waits for the profile's seconds, and answer_wait for the answer.
  virtual result<proto::NodeProfile> profile(const proto::ReadProfile& asked,
                                             std::chrono::milliseconds answer_wait) = 0;
  // Of the gateway whose job it is: the node that is asked need not be it.
  virtual status cancel(const proto::JobShown& job, std::chrono::milliseconds wait_max) = 0;
  virtual status unload(std::string_view node, std::string_view model_digest,
                        std::chrono::milliseconds wait_max) = 0;
  virtual std::string node() const = 0;  // that answers
};

// Its bytes, or the bytes of its beginning. invalid_argument: no such thing.
result<std::string> job_id_bytes(std::string_view text);

}  // namespace troupe::client
