// What one process is made to believe of its machine, without any right: a disk that is full, a
// wall clock that is off. Threading: one thread for each object.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "tools/chaos/clock/stepped_clock.hpp"
#include "tools/chaos/plan.hpp"

namespace troupe::chaos {

// While it is full every write() of the process to a file fails, as on a full disk (EFBIG instead
// of ENOSPC), and nothing of it is written. False: there is no such process of ours.
bool set_disk_full(int pid, bool full);

class wall_clock {
 public:
  explicit wall_clock(const std::filesystem::path& file);  // made anew
  ~wall_clock();
  wall_clock(const wall_clock&) = delete;
  wall_clock& operator=(const wall_clock&) = delete;

  // For the environment of the process whose clock this is.
  std::map<std::string, std::string> variables(const std::filesystem::path& library) const;
  void step(milliseconds off_by);
  std::uint64_t reads() const;  // while it was off

 private:
  std::filesystem::path file_;
  stepped_clock* shared_ = nullptr;  // null: no file could be made
};

}  // namespace troupe::chaos
