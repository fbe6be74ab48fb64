// Splits [0, count) into one range a thread and waits for all. The work must not throw, nor depend
// on the split.
#pragma once

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

namespace troupe::kernels {

template <class Work>
void for_ranges(std::uint64_t count, int threads, const Work& work) {
  const auto parts = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::max(threads, 1)), 1,
                                               std::max<std::uint64_t>(count, 1));
  std::vector<std::thread> running;
  running.reserve(parts);
  for (std::uint64_t part = 1; part < parts; ++part) {
    const std::uint64_t begin = count / parts * part + std::min(part, count % parts);
    const std::uint64_t end = begin + count / parts + (part < count % parts ? 1 : 0);
    try {
      running.emplace_back([&work, begin, end] { work(begin, end); });
    } catch (const std::system_error&) {
      work(begin, end);  // no thread to be had: this one does it
    }
  }
  work(0, count / parts + (count % parts != 0 ? 1 : 0));
  for (std::thread& thread : running) thread.join();
}

}  // namespace troupe::kernels
