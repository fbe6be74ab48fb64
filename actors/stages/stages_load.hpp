// What a stages actor shows of itself.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "proto/monitoring.pb.h"

namespace troupe {

// Threading: any thread reads; the stages actor writes.
class stages_load {
 public:
  void show(std::vector<proto::StageShown> stages) {
    const std::lock_guard lock{guard_};
    stages_ = std::move(stages);
  }
  std::vector<proto::StageShown> shown() const {
    const std::lock_guard lock{guard_};
    return stages_;
  }

 private:
  mutable std::mutex guard_;
  std::vector<proto::StageShown> stages_;
};

}  // namespace troupe
