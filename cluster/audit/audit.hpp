// Where whoever changes something that matters says so: the audit log as others see it.
//
// write() takes the time, hands over and returns: nobody waits for a disk. Threading: any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace troupe::audit {

struct event {
  std::string who;      // "daemon", "signal", "key:NAME", "link:PEER", "http:ADDRESS"
  std::string what;     // "start", "stop", "drain", "api_keys", "chaos", ...
  std::string outcome;  // "done", "refused", "failed"; "asked": written before it is carried out
  std::vector<std::pair<std::string, std::string>> about = {};  // never a secret
};

class log {
 public:
  virtual ~log() = default;
  virtual void write(event what) = 0;
};

}  // namespace troupe::audit
