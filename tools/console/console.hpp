// `troupe console`: the shell around the pure state: terminal, clock, and the cluster's reader.
#pragma once

#include <string>

#include "cluster/client/troupe.hpp"

namespace troupe::console {

struct console_request {
  std::string at;
  client::connect_options connection;
};

// Until q, Ctrl-C or a signal. Fails where there is no terminal, or no FTXUI in this build.
status run_console(const console_request& request);

// One look at the cluster, as text.
result<std::string> look_once(const console_request& request);

}  // namespace troupe::console
