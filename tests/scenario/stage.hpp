// The cluster of a scenario: the simulation's nodes (real cores, real link, real encoding) on a
// clock that is a number, with faults on command.
//
// Everything in it is the same in every run: the dice have one seed. Threading: one thread.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/scenario/reader.hpp"
#include "tests/sim/node.hpp"
#include "tests/sim/plan.hpp"

namespace troupe::scenario {

class stage {
 public:
  // Before start().
  std::vector<std::string> node_names;
  std::set<std::string> without_device;
  bool journal = true, redis = false;

  stage() : dice_(7), net_(clock_, dice_.split(1)) {}
  void start();

  // Lets things happen for so long.
  void pass(time_us time);
  // Until `come` says so; false: not within the longest time that anything here may take.
  template <class Come>
  bool wait_until(Come&& come) {
    for (time_us waited = 0; waited < wait_max; waited += slice, pass(slice))
      if (come()) return true;
    return come();
  }

  bool knows(const std::string& node) const { return at_.contains(node); }
  void begin(const std::string& node);
  void kill(const std::string& node);
  // The machine is off: its peers are not told, and what was not synced is gone.
  void power_off(const std::string& node);
  void wipe_disk(const std::string& node) { disks_.at(node).journal = {}; }
  void freeze(const std::string& node, time_us time) { nodes_.at(node)->stop_for(time); }
  void cut(const std::string& a, const std::string& b, bool both = true);
  void mend(const std::string& a, const std::string& b);
  sim::shared_redis& shared() { return redis_; }

  reader& client(const std::string& name);
  bool has_client(const std::string& name) const { return clients_.contains(name); }
  std::map<std::string, std::unique_ptr<reader>>& clients() { return clients_; }
  void submit(const std::string& client, const std::string& job, const std::string& gateway,
              reader::brings what);
  // A job by the script's name: its id, its only right answer.
  const sim::known_job& make_job(const std::string& name, proto::JobSpecification asked);
  const std::map<std::string, sim::known_job>& jobs() const { return jobs_; }

  // What was seen at the nodes' edges.
  const std::vector<sim::event>& events() const { return events_; }
  bool journal_knows(const std::string& node, const std::string& job) const;
  std::uint32_t journal_tokens(const std::string& node, const std::string& job) const;

 private:
  static constexpr time_us slice = 2'000, wait_max = 60'000'000;
  static constexpr const char* address_base = "tcp://127.0.0.1:";

  sim::clockwork clock_;
  sim::dice dice_;
  sim::network net_;
  sim::shared_redis redis_;
  sim::run_plan plan_;
  std::map<std::string, sim::node_plan> at_;
  std::map<std::string, sim::node_disk> disks_;
  std::map<std::string, std::unique_ptr<sim::node>> nodes_;
  std::map<std::string, std::unique_ptr<reader>> clients_;
  std::map<std::string, sim::known_job> jobs_;
  std::vector<sim::event> events_;
};

}  // namespace troupe::scenario
