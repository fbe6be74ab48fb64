#include "cluster/link/packed_queue.hpp"

#include <algorithm>
#include <cassert>

namespace troupe::link {

outgoing_run run_of(const envelope_ptr& message, std::uint64_t bytes,
                    std::uint64_t packed_bytes_max) {
  if (bytes_in_body(bytes) > packed_bytes_max) return {{}, 1, message, bytes};
  outgoing_run run{packed_bytes(bytes_in_body(bytes)), 1, nullptr, 0};
  write_envelope(*message, bytes, run.packed.data());
  return run;
}

std::vector<envelope_ptr> oldest_of(std::vector<numbered_envelope> all, std::size_t most) {
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  std::vector<envelope_ptr> out;
  for (numbered_envelope& one : all) {
    if (out.size() == most) break;
    envelope_ptr message = one.bytes.empty() ? std::move(one.large) : read_envelope(one.bytes);
    if (message) out.push_back(std::move(message));
  }
  return out;
}

void packed_queue::append(packed_bytes bytes, std::uint64_t first_number) {
  if (bytes.empty()) return;
  const std::uint64_t begin = end_;
  end_ += bytes.size();
  runs_.push_back({std::move(bytes), begin, first_number});
}

std::deque<packed_queue::run>::const_iterator packed_queue::run_at(std::uint64_t position) const {
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), position,
                                      [](std::uint64_t p, const run& r) { return p < r.begin; });
  assert(after != runs_.begin());
  return after - 1;
}

packed_queue::reach packed_queue::measure(std::uint64_t position, std::uint64_t bytes_max,
                                          std::uint32_t count_max) const {
  reach out;
  if (position >= end_) return out;
  for (auto from = run_at(position); from != runs_.end(); ++from) {
    std::uint64_t at = position + out.bytes - from->begin;
    while (at < from->bytes.size()) {
      const std::uint64_t more = bytes_in_body(decode_length(from->bytes.data() + at));
      if (out.count == count_max || out.bytes + more > bytes_max) return out;
      out.bytes += more;
      ++out.count;
      at += more;
    }
  }
  return out;
}

void packed_queue::copy(std::uint64_t position, std::span<std::uint8_t> out) const {
  assert(position >= begin_ && position + out.size() <= end_);
  if (out.empty()) return;
  for (auto from = run_at(position); !out.empty(); ++from) {
    const std::uint64_t skip = position - from->begin;
    const std::size_t count = std::min<std::uint64_t>(out.size(), from->bytes.size() - skip);
    std::copy_n(from->bytes.data() + skip, count, out.data());
    out = out.subspan(count);
    position += count;
  }
}

void packed_queue::drop_before(std::uint64_t position, std::vector<packed_bytes>& emptied) {
  begin_ = std::max(begin_, position);
  while (!runs_.empty() && runs_.front().begin + runs_.front().bytes.size() <= begin_) {
    emptied.push_back(std::move(runs_.front().bytes));
    runs_.pop_front();
  }
}

void packed_queue::list(std::vector<numbered_envelope>& out) const {
  for (const run& one : runs_) {
    std::uint64_t number = one.first_number;
    for (std::uint64_t at = 0; at < one.bytes.size(); ++number) {
      const std::uint32_t length = decode_length(one.bytes.data() + at);
      if (one.begin + at >= begin_)
        out.push_back({number, {one.bytes.data() + at + length_prefix_bytes, length}, nullptr});
      at += bytes_in_body(length);
    }
  }
}

void packed_queue::clear() {
  runs_.clear();
  begin_ = end_;
}

}  // namespace troupe::link
