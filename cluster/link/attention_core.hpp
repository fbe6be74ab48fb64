// Whether the I/O thread, with nothing to do, looks again at once or sleeps. Waking a sleeper on an
// idle core costs 10 us and more, so where answers come fast it pays to look for a moment. Pure.
//
// Invariants: no stretch of looking is longer than `stretch`; one that found nothing is followed by
// ever more waits without any (1, 3, 7 .. 63), so traffic that is slow or has stopped costs next to
// nothing; where somebody else wants the core, looking stops at once and for 63 waits. Threading:
// one thread. Units: microseconds of one steady clock.
#pragma once

#include <algorithm>
#include <cstdint>

namespace troupe::link {

class attention_core {
 public:
  static constexpr std::uint64_t stretch = 80;
  // Between two looks the core is offered to others. ZeroMQ's thread gives it back sooner than
  // this.
  static constexpr std::uint64_t lent_max = 50;
  static constexpr unsigned sleeps_max = 63;

  explicit attention_core(bool allowed) : allowed_(allowed) {}

  // A wait begins. True: look, and after each look that found nothing ask again().
  bool begin(std::uint64_t now) {
    if (!allowed_) return false;
    if (sleeps_ > 0) return --sleeps_, false;
    until_ = now + stretch;
    looked_at_ = now;
    return true;
  }
  bool again(std::uint64_t now) {
    const bool lent_too_long = now - looked_at_ > lent_max;
    looked_at_ = now;
    if (!lent_too_long && now < until_) return true;
    fruitless_ = lent_too_long ? sleeps_max : std::min(2 * fruitless_ + 1, sleeps_max);
    sleeps_ = fruitless_;
    return false;
  }
  void found() { fruitless_ = 0; }

 private:
  const bool allowed_;
  unsigned fruitless_ = 0;
  unsigned sleeps_ = 0;  // waits still to come without looking
  std::uint64_t until_ = 0;
  std::uint64_t looked_at_ = 0;
};

}  // namespace troupe::link
