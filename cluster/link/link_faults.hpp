// What the link does to its own frames while its node carries out a fault on itself.
//
// Below the sessions, so that these meet what a bad network gives them: frames that never come, or
// late. The fault holds between two moments of the steady clock and is over then, whoever set it.
// A node that does not allow chaos has no such object (link_settings::faults is null). Threading:
// any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::link {

struct link_fault {
  bool everyone = false;             // nothing passes, from and to whomever
  std::vector<std::string> peers{};  // else: nothing passes from and to these
  std::uint64_t delay_us = 0;        // what is sent within sessions leaves so much later
  std::uint64_t from_us = 0, until_us = 0;
};

class link_faults {
 public:
  void begin(link_fault fault);
  void end();

  // Whether a frame from or to that peer goes nowhere. peer: empty where it is not known.
  bool swallows(std::string_view peer, std::uint64_t now_us) const;
  std::uint64_t delay_us(std::uint64_t now_us) const;
  std::uint64_t swallowed() const { return swallowed_; }

 private:
  bool holds(std::uint64_t now_us) const { return from_us_ <= now_us && now_us < until_us_; }

  std::atomic<std::uint64_t> from_us_{0}, until_us_{0};
  mutable std::atomic<std::uint64_t> swallowed_{0};
  mutable std::mutex guard_;
  link_fault fault_;
};

}  // namespace troupe::link
