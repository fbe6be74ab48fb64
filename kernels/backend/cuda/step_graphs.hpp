// Which decode steps are recorded as CUDA graphs, and which graph goes when there are too many.
//
// A step's shape is everything that its launches depend on beside the contents of device memory:
// two steps of one shape are the same launches. The first step of a shape runs launch by launch
// (kernels are loaded then, which a recording must not meet), the second is recorded, the next are
// replays. Pure.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <utility>
#include <vector>

namespace troupe::kernels::cuda {

using step_shape = std::vector<std::uint64_t>;

template <class Graph>
class step_graphs {
 public:
  struct entry {
    step_shape shape;
    std::uint64_t steps = 0;  // of this shape, as long as it is remembered
    std::optional<Graph> graph;
  };

  // Shapes that are remembered; 0: none, and no graph is made.
  explicit step_graphs(std::uint32_t most) : most_(most) {}

  // The entry of a shape, which is then the last to go; one more step of it is counted. Null where
  // none is kept. Valid until the next call.
  entry* use(const step_shape& shape) {
    if (most_ == 0) return nullptr;
    auto at = entries_.begin();
    while (at != entries_.end() && at->shape != shape) ++at;
    if (at == entries_.end()) {
      if (entries_.size() == most_) entries_.pop_back();
      at = entries_.insert(entries_.begin(), entry{shape, 0, std::nullopt});
    }
    entries_.splice(entries_.begin(), entries_, at);
    ++at->steps;
    return &*at;
  }

  // Memory that graphs name has moved.
  void forget() { entries_.clear(); }
  // The device takes no graphs.
  void give_up() {
    entries_.clear();
    most_ = 0;
  }
  std::size_t size() const { return entries_.size(); }

 private:
  std::uint32_t most_;
  std::list<entry> entries_;  // last used first
};

}  // namespace troupe::kernels::cuda
