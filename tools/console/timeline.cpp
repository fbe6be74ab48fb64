#include "tools/console/timeline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace troupe::console {
namespace {

std::uint64_t begin_us(const proto::NodeHistory& node) {
  int values = 0;
  for (const proto::Series& series : node.series()) values = std::max(values, series.values_size());
  const std::uint64_t length = static_cast<std::uint64_t>(values) * node.step_ms() * 1000;
  return node.end_us() - std::min(node.end_us(), length);
}

}  // namespace

timeline::timeline() : history_(std::make_shared<proto::ClusterHistory>()) {}

void timeline::add(picture_ptr picture, std::uint64_t now_us) {
  if (!picture) return;
  newest_ = picture;
  newest_us_ = now_us;
  if (!kept_.empty() && now_us < kept_.back().at_us + picture_step_us &&
      now_us >= kept_.back().at_us)
    return;
  while (!kept_.empty() && kept_.back().at_us > now_us) {  // the clock was set back
    bytes_ -= kept_.back().bytes;
    kept_.pop_back();
  }
  const std::size_t bytes = picture->SpaceUsedLong();
  kept_.push_back({std::move(picture), now_us, bytes});
  bytes_ += bytes;
  while (kept_.size() > 1 &&
         (bytes_ > picture_bytes_max || kept_.front().at_us + timeline_us < now_us)) {
    bytes_ -= kept_.front().bytes;
    kept_.pop_front();
  }
}

void timeline::add(history_ptr history) {
  if (history) history_ = std::move(history);
}

std::uint64_t timeline::oldest_us(std::uint64_t now_us) const {
  std::uint64_t oldest = kept_.empty() ? now_us : kept_.front().at_us;
  for (const proto::NodeHistory& node : history_->nodes())
    if (node.series_size() > 0) oldest = std::min(oldest, begin_us(node));
  return std::max(oldest, now_us - std::min(now_us, timeline_us));
}

moment timeline::at(std::uint64_t us) const {
  if (newest_ && us >= newest_us_) return {newest_, newest_us_, false};
  const auto after = std::upper_bound(
      kept_.begin(), kept_.end(), us,
      [](std::uint64_t value, const kept_picture& one) { return value < one.at_us; });
  if (after != kept_.begin()) return {std::prev(after)->picture, std::prev(after)->at_us, false};
  return {picture_of(*history_, us), us, true};
}

picture_ptr picture_of(const proto::ClusterHistory& history, std::uint64_t at_us) {
  auto out = std::make_shared<proto::ClusterPicture>();
  out->set_at_us(at_us);
  proto::ClusterTotals& totals = *out->mutable_totals();
  for (const proto::NodeHistory& node : history.nodes()) {
    const std::uint64_t step_us = std::max<std::uint64_t>(node.step_ms(), 1) * 1000;
    if (at_us > node.end_us() + 5 * step_us || at_us < begin_us(node)) continue;
    const auto behind =
        static_cast<int>((node.end_us() - std::min(at_us, node.end_us())) / step_us);
    const auto value = [&](const char* name) {
      for (const proto::Series& series : node.series())
        if (series.name() == name && behind < series.values_size())
          return static_cast<double>(series.values(series.values_size() - 1 - behind));
      return std::numeric_limits<double>::quiet_NaN();
    };
    const auto number = [&](const char* name) {
      const double found = value(name);
      return std::isfinite(found) ? found : 0.0;
    };
    if (std::isnan(value("cpu_share")) && std::isnan(value("process_bytes")) &&
        std::isnan(value("jobs_running")))
      continue;
    proto::NodePart& part = *out->add_nodes();
    part.set_node(node.node());
    part.set_up(true);
    part.set_tokens_per_second(number("tokens_per_second"));
    proto::NodeStatus& status = *part.mutable_status();
    status.set_node(node.node());
    status.mutable_machine()->set_cpu_share(number("cpu_share"));
    status.set_memory_bytes(1000);
    status.set_memory_bytes_used(static_cast<std::uint64_t>(1000 * number("memory_share")));
    status.mutable_jobs()->set_running(static_cast<std::uint64_t>(number("jobs_running")));
    if (const double first = value("first_token_p50_seconds"); std::isfinite(first)) {
      status.mutable_jobs()->mutable_first_token_seconds()->set_count(1);
      status.mutable_jobs()->mutable_first_token_seconds()->set_p50(first);
    }
    totals.set_nodes(totals.nodes() + 1);
    totals.set_nodes_up(totals.nodes_up() + 1);
    totals.set_jobs_running(totals.jobs_running() + status.jobs().running());
    totals.set_tokens_per_second(totals.tokens_per_second() + part.tokens_per_second());
  }
  return out->nodes_size() == 0 ? nullptr : out;
}

}  // namespace troupe::console
