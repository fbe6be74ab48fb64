// A trouped of its own for a measurement: in a scratch folder, on a free loopback port, ended with
// this object. And what comes of windows measured in turn.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "tools/local/processes.hpp"

namespace troupe::cli {

struct measured_node_wish {
  std::filesystem::path daemon, model;  // the model is "load" there
  std::string name = "load";
  std::string peers = {};   // addresses, in YAML's brackets
  std::string models = {};  // further lines of the models section
  bool preload = true;
  std::string settings = {};  // further sections
};

class measured_node {
 public:
  // Errors: unavailable, with what the node said.
  status start(const measured_node_wish& wish);
  ~measured_node();
  const std::string& at() const { return at_; }  // HOST:PORT
  int pid() const { return process_->pid(); }
  double cpu_seconds() const;  // of all its threads

 private:
  local::scratch_folder folder_;
  std::string at_;
  std::unique_ptr<local::child_process> process_;
};

// trouped beside this program.
std::filesystem::path daemon_beside();

double median(std::vector<double> values);  // not of none

struct ratio_figure {
  double median = 0;
  double low = 0, high = 0;  // with 95 % probability the true median lies between
};
// The interval is that of the sign test: it asks nothing of how the figures are spread. Not of
// none.
ratio_figure ratio_of(std::vector<double> ratios);

}  // namespace troupe::cli
