// One node: its actors, its link, and their life from start to orderly stop.
//
// Starting order: state folder, log, actors, link; stopping is the reverse. An actor that ends by
// itself is started again within the restart budget; past it the process exits with exit_broken,
// for systemd or Kubernetes to start a fresh one. SIGTERM and SIGINT ask for an orderly stop: no
// new jobs, running ones may end within node.stop_wait; a second one ends them at once. Threading:
// start() and run() from the main thread, before any other thread exists.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cluster/node/node_settings.hpp"

namespace troupe::cluster {

inline constexpr int exit_fine = 0;
inline constexpr int exit_usage = 64;        // as in sysexits.h
inline constexpr int exit_unavailable = 69;  // a port, the state folder
inline constexpr int exit_broken = 70;       // the restart budget is spent, or the stop hung
inline constexpr int exit_chaos = 75;        // chaos asked for it: to be started again
inline constexpr int exit_config = 78;

std::string_view version();

class daemon {
 public:
  static result<std::unique_ptr<daemon>> start(const settings& from);
  virtual ~daemon() = default;
  virtual std::string name() const = 0;
  virtual std::string address() const = 0;
  virtual std::string http_address() const = 0;  // empty: HTTP is off
  // Serves until a signal or a spent budget; returns the exit code.
  virtual int run() = 0;
};

}  // namespace troupe::cluster
