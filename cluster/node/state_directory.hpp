// A node's own folder: one daemon at a time holds it, and it counts the node's starts.
//
// The incarnation is one more than the last one written; it is on disk (fsync) before the node says
// its name to anyone.
#pragma once

#include <cstdint>
#include <filesystem>

#include "config/outcome.hpp"

namespace troupe::cluster {

class state_directory {
 public:
  // Makes the folder where it is missing. unavailable: another daemon holds it; permission_denied:
  // it cannot be written.
  static result<state_directory> open(const std::filesystem::path& folder);
  ~state_directory();
  state_directory(state_directory&& other) noexcept;
  state_directory& operator=(state_directory&&) = delete;

  std::uint64_t incarnation() const { return incarnation_; }

 private:
  state_directory(int lock, std::uint64_t incarnation) : lock_(lock), incarnation_(incarnation) {}
  int lock_ = -1;  // open file that carries the lock
  std::uint64_t incarnation_ = 0;
};

}  // namespace troupe::cluster
