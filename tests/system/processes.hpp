// tools/local's processes for tests: what cannot be started or written ends the test.
#pragma once

#include <stdexcept>

#include "tools/local/processes.hpp"

namespace system_test {

using std::chrono::milliseconds;
using troupe::local::child_process;
using troupe::local::content_of;
using troupe::local::free_port;
using troupe::local::scratch_folder;

inline void write_file(const std::filesystem::path& file, const std::string& content) {
  if (!troupe::local::write_file(file, content))
    throw std::runtime_error("cannot write " + file.string());
}

class redis_server : public troupe::local::redis_server {
 public:
  redis_server() {
    if (!ready()) throw std::runtime_error("redis-server did not start: " + errors());
  }
};

}  // namespace system_test
