// Clients that keep a cluster busy and write down what they see.
//
// Threading: one thread for each client, ended by stop().
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cluster/client/troupe.hpp"
#include "tools/chaos/story.hpp"

namespace troupe::chaos {

// The job for a prompt; the same each time but for its id.
client::job job_for(const workload_plan& plan, const std::string& model, std::uint32_t prompt);

class workload {
 public:
  // gateways: addresses; client i begins with the i-th and goes on at the others.
  workload(const workload_plan& plan, std::string model, std::vector<std::string> gateways);
  ~workload();

  void begin(std::chrono::steady_clock::time_point run_began);
  // Whether that client (client_name()) reads what it is sent.
  void hold(const std::string& client, bool reads_nothing);
  // Waits for the jobs that run, each within its own deadline. Then each client asks once more, up
  // to `calm` again and again until it has a whole answer; zero: not at all.
  std::vector<job_story> stop(milliseconds calm);

 private:
  std::string addresses_for(std::uint32_t stream) const;
  void work(std::uint32_t stream);
  void one_job(client::cluster& cluster, job_story& story);
  microseconds now() const;

  workload_plan plan_;
  std::string model_;
  std::vector<std::string> gateways_;
  std::chrono::steady_clock::time_point began_;
  std::unique_ptr<std::atomic<bool>[]> held_;
  std::atomic<std::chrono::steady_clock::time_point> calm_until_{};  // before stopping_
  std::atomic<bool> stopping_ = false;
  std::mutex guard_;
  std::vector<job_story> stories_;
  std::vector<std::thread> clients_;
};

}  // namespace troupe::chaos
