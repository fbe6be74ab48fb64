// Waits for descriptors to become readable, or to be woken.
//
// Threading: wait() on one thread, everything else on any.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cluster/link/attention_core.hpp"
#include "config/outcome.hpp"

namespace troupe::link {

class waiting {
 public:
  static result<std::unique_ptr<waiting>> open();
  ~waiting();
  waiting(const waiting&) = delete;
  waiting& operator=(const waiting&) = delete;

  status watch(int descriptor, std::uint64_t key);
  void forget(int descriptor);
  void wake() const;
  // At most about so long (rounded up to a millisecond). The keys of what is readable, valid until
  // the next call; none after wake(), a signal, or in vain.
  std::span<const std::uint64_t> wait(std::chrono::microseconds most);

 private:
  waiting(int epoll, int wake);
  int look(int most_ms);

  const int epoll_;
  const int wake_;
  attention_core attention_;
  std::vector<std::uint64_t> keys_;
};

}  // namespace troupe::link
