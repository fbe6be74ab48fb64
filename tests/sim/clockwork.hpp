// Virtual time: a queue of what happens when, and the dice that decide what is left to chance.
//
// Invariants: what is due at the same time happens in the order in which it was asked for; nothing
// here reads a clock. The digest folds in every note, so two runs of one seed that differ anywhere
// differ in it. Threading: one thread. Units: microseconds since the simulation began.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::sim {

using time_us = std::uint64_t;
using action = std::function<void()>;

// splitmix64. Every part of a run has dice of its own, so that a change of one leaves the others.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed) {}
  dice split(std::uint64_t name) { return dice(next() ^ (name * 0x9e37'79b9'7f4a'7c15u)); }
  std::uint64_t next() {
    std::uint64_t x = state_ += 0x9e37'79b9'7f4a'7c15u;
    x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9u;
    x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11ebu;
    return x ^ (x >> 31);
  }
  std::uint64_t below(std::uint64_t end) { return end == 0 ? 0 : next() % end; }
  // Both ends included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  bool chance(unsigned per_mille) { return below(1000) < per_mille; }
  template <class T>
  const T& one_of(const std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::uint64_t state_;
};

class clockwork {
 public:
  time_us now() const { return now_; }
  void at(time_us when, action call) {
    queue_.push({when < now_ ? now_ : when, ++asked_, std::move(call)});
  }
  void after(time_us wait, action call) { at(now_ + wait, std::move(call)); }
  // Lets everything up to `end` happen.
  void run_until(time_us end) {
    while (!queue_.empty() && queue_.top().when <= end) {
      action call = std::move(const_cast<entry&>(queue_.top()).call);
      now_ = queue_.top().when;
      queue_.pop();
      ++happened_;
      call();
    }
    now_ = end;
  }
  std::uint64_t happened() const { return happened_; }

  void note(std::uint64_t word) {
    digest_ = (digest_ ^ word ^ now_) * 0x9fb2'1c65'1e98'df25u;
    digest_ ^= digest_ >> 32;
  }
  void note(std::string_view bytes) {
    std::uint64_t sum = bytes.size();
    for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3u;
    note(sum);
  }
  std::uint64_t digest() const { return digest_; }

 private:
  struct entry {
    time_us when;
    std::uint64_t order;
    action call;
    bool operator<(const entry& other) const {
      return std::pair(when, order) > std::pair(other.when, other.order);
    }
  };
  std::priority_queue<entry> queue_;
  time_us now_ = 0;
  std::uint64_t asked_ = 0, happened_ = 0;
  std::uint64_t digest_ = 0x7472'6f75'7065'0002u;
};

}  // namespace troupe::sim
