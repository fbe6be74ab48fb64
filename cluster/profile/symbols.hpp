// Names for addresses of this process: its program and shared libraries, as loaded now.
//
// A file is read at the first address of its that is asked for; what has no symbol is named after
// its file. Threading: one thread at a time. Never from a signal: it reads files and allocates.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/profile/symbol_table.hpp"

namespace troupe::profile {

class symbols {
 public:
  symbols();  // looks what is loaded

  // A function's name, or "[libzmq.so.5]"; "[unknown]" where nothing is loaded there.
  const std::string& name_of(std::uintptr_t address);

 private:
  struct object {
    std::string path, shown;
    std::uintptr_t loaded_at = 0;
    std::unique_ptr<symbol_table> table;  // null: not read yet
  };
  struct range {
    std::uintptr_t end;
    std::size_t object;
  };
  std::string look_up(std::uintptr_t address);

  std::vector<object> objects_;
  std::map<std::uintptr_t, range> ranges_;  // by begin
  std::unordered_map<std::uintptr_t, std::string> known_;
};

}  // namespace troupe::profile
