// The newest fence seen for each job, also for jobs that have ended: the last `kept` of those are
// remembered.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

#include "proto/inference.pb.h"

namespace troupe {

struct fence_order {
  std::uint64_t epoch = 0;
  std::uint32_t attempt = 0;
  auto operator<=>(const fence_order&) const = default;  // NOLINT(modernize-use-nullptr)
};

inline fence_order order_of(const proto::Fence& fence) {
  return {fence.gateway_epoch(), fence.attempt()};
}

class fence_table {
 public:
  explicit fence_table(std::size_t kept) : kept_(kept) {}

  // The newest fence seen, {} where the job is unknown.
  fence_order newest(const std::string& job) const {
    const auto found = fences_.find(job);
    return found == fences_.end() ? fence_order{} : found->second;
  }
  bool knows(const std::string& job) const { return fences_.contains(job); }

  void see(const std::string& job, fence_order fence) {
    const auto [entry, fresh] = fences_.try_emplace(job, fence);
    if (!fresh && entry->second < fence) entry->second = fence;
    if (fresh) order_.push_back(job);
    while (order_.size() > kept_) {
      fences_.erase(order_.front());
      order_.pop_front();
    }
  }

  std::size_t size() const { return fences_.size(); }

 private:
  std::size_t kept_;
  std::unordered_map<std::string, fence_order> fences_;
  std::deque<std::string> order_;  // oldest first, each job once
};

}  // namespace troupe
