// Which actor the calling thread works for; empty on a thread of the node itself. For the log.
#pragma once

#include <string>
#include <string_view>

namespace troupe {

inline thread_local std::string_view current_actor;

// The name must outlive this object. Nests: an actor may run on another's thread.
class working_for {
 public:
  explicit working_for(std::string_view actor) : before_(current_actor) { current_actor = actor; }
  ~working_for() { current_actor = before_; }
  working_for(const working_for&) = delete;
  working_for& operator=(const working_for&) = delete;

 private:
  std::string_view before_;
};

}  // namespace troupe
