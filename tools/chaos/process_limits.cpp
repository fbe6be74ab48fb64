#include "tools/chaos/process_limits.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace troupe::chaos {

bool set_disk_full(int pid, bool full) {
  rlimit limit{};
  if (pid <= 0 || ::prlimit(pid, RLIMIT_FSIZE, nullptr, &limit) != 0) return false;
  limit.rlim_cur = full ? 0 : limit.rlim_max;
  return ::prlimit(pid, RLIMIT_FSIZE, &limit, nullptr) == 0;
}

wall_clock::wall_clock(const std::filesystem::path& file) : file_(file) {
  const int open_file = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (open_file < 0) return;
  if (::ftruncate(open_file, sizeof(stepped_clock)) == 0) {
    void* at =
        ::mmap(nullptr, sizeof(stepped_clock), PROT_READ | PROT_WRITE, MAP_SHARED, open_file, 0);
    if (at != MAP_FAILED) shared_ = static_cast<stepped_clock*>(at);
  }
  ::close(open_file);
}

wall_clock::~wall_clock() {
  if (shared_) ::munmap(shared_, sizeof(stepped_clock));
}

std::map<std::string, std::string> wall_clock::variables(
    const std::filesystem::path& library) const {
  return {{"LD_PRELOAD", library.string()}, {stepped_clock_variable, file_.string()}};
}

void wall_clock::step(milliseconds off_by) {
  if (shared_) shared_->step_us = std::chrono::microseconds(off_by).count();
}

std::uint64_t wall_clock::reads() const {
  return shared_ ? shared_->reads.load() : 0;
}

}  // namespace troupe::chaos
