#include "kernels/backend/cuda/kv_compaction.hpp"

namespace troupe::kernels::cuda {
namespace {

double share(std::size_t holes, std::size_t end) {
  return end == 0 ? 0.0 : static_cast<double>(holes) / static_cast<double>(end);
}

}  // namespace

double kv_fragmentation(const std::vector<bool>& used) {
  std::size_t end = 0, count = 0;
  for (std::size_t i = 0; i < used.size(); ++i)
    if (used[i]) {
      end = i + 1;
      ++count;
    }
  return share(end - count, end);
}

std::vector<kv_move> plan_compaction(std::vector<bool> used, double limit) {
  std::size_t count = 0;
  for (const bool u : used) count += u ? 1 : 0;
  std::vector<kv_move> moves;
  std::size_t end = used.size(), hole = 0;
  for (;;) {
    while (end > 0 && !used[end - 1]) --end;
    while (hole < end && used[hole]) ++hole;
    if (hole >= end || share(end - count, end) < limit) return moves;
    moves.push_back({static_cast<block_id>(end - 1), static_cast<block_id>(hole)});
    used[hole] = true;
    used[end - 1] = false;
  }
}

}  // namespace troupe::kernels::cuda
