// Which spans leave for a collector, and how.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace troupe {

struct trace_settings {
  std::string collector;  // http://HOST:PORT; empty: spans stay here
  double ratio = 1;
  std::chrono::milliseconds slow{30'000};
  std::chrono::milliseconds flush_every{1'000};
  std::size_t batch_spans_max = 512;
};

}  // namespace troupe
