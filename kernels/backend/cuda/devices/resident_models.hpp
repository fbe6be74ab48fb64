// Which models have their weights on a device, and which of them would have to go to make room: the
// least recently used that compute nothing.
//
// Pure. Order of use is the order of calls, not a clock. Threading: none, the caller locks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::kernels::cuda {

class resident_models {
 public:
  explicit resident_models(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Names whose going makes room for `bytes`, the least recently used first; empty where there is
  // room. Errors: resource_exhausted, where even that is too little.
  result<std::vector<std::string>> to_make_room(std::uint64_t bytes) const;

  // A model is added once and counts as used; adding it again changes its bytes.
  void add(const std::string& name, std::uint64_t bytes);
  void remove(const std::string& name);
  void use(const std::string& name);
  // A busy model is not among those to go.
  void set_busy(const std::string& name, bool busy);

  std::uint64_t bytes() const;
  std::vector<std::string> names() const;  // least recently used first

 private:
  struct entry {
    std::string name;
    std::uint64_t bytes = 0;
    bool busy = false;
  };
  std::vector<entry>::iterator find(const std::string& name);

  std::uint64_t bytes_max_;
  std::vector<entry> entries_;  // least recently used first
};

}  // namespace troupe::kernels::cuda
