#include "tools/cli/measured_node.hpp"

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace troupe::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds ready_wait{60'000}, end_wait{10'000};

}  // namespace

status measured_node::start(const measured_node_wish& wish) {
  const std::filesystem::path& folder = folder_.path();
  at_ = "127.0.0.1:" + std::to_string(local::free_port());
  std::error_code failed;
  std::filesystem::create_directories(folder / "models", failed);
  std::filesystem::create_symlink(std::filesystem::absolute(wish.model),
                                  folder / "models" / "load.gguf", failed);
  const std::string yaml =
      "node:\n  name: " + wish.name + "\n  state_dir: state\nlink:\n  listen: tcp://" + at_ +
      "\nmembership:\n  peers: [" + wish.peers + "]\nmodels:\n  directories: [models]\n" +
      (wish.preload ? "  preload: [load]\n" : "") + wish.models + wish.settings;
  if (folder.empty() || failed || !local::write_file(folder / "node.yaml", yaml))
    return error{error_code::unavailable, "no folder for the node could be made", "set TMPDIR"};
  process_ = std::make_unique<local::child_process>(
      std::vector<std::string>{wish.daemon.string(), "--config", (folder / "node.yaml").string()},
      folder / "errors");
  const auto line = process_->line(ready_wait);
  if (!line || !line->starts_with("ready "))
    return error{error_code::unavailable,
                 "the node did not start: " + local::content_of(folder / "errors"),
                 "is " + wish.daemon.string() + " of the same build?"};
  return {};
}

measured_node::~measured_node() {
  if (!process_) return;
  process_->signal(SIGTERM);
  process_->wait(end_wait);
}

double measured_node::cpu_seconds() const {
  clockid_t clock = 0;
  timespec used{};
  if (clock_getcpuclockid(pid(), &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

std::filesystem::path daemon_beside() {
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path() / "trouped";
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

ratio_figure ratio_of(std::vector<double> ratios) {
  std::sort(ratios.begin(), ratios.end());
  const auto count = static_cast<double>(ratios.size());
  const double aside = std::max(0.0, std::floor((count - 1.96 * std::sqrt(count)) / 2));
  const auto left_out = static_cast<std::size_t>(aside);
  return {median(ratios), ratios[left_out], ratios[ratios.size() - 1 - left_out]};
}

}  // namespace troupe::cli
