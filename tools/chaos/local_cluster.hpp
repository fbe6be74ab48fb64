// Daemons of this machine that form a cluster: each on a free loopback port with a state folder of
// its own, connected through `wires`, sharing one Redis where the plan wants it.
//
// Threading: one thread carries out faults; addresses do not change.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/outcome.hpp"
#include "tools/chaos/carrying.hpp"
#include "tools/chaos/process_limits.hpp"
#include "tools/chaos/wires.hpp"
#include "tools/local/processes.hpp"

namespace troupe::chaos {

class local_cluster final : public fault_hands {
 public:
  // Starts everything and waits until each node has said that it is ready. Errors: unavailable,
  // with what the daemon printed.
  static result<std::unique_ptr<local_cluster>> start(const chaos_plan& plan,
                                                      const std::filesystem::path& daemon,
                                                      const std::filesystem::path& model);
  ~local_cluster() override;

  std::string at(const std::string& node) const;  // "HOST:PORT"
  bool begin(const fault& what) override;
  void end(const fault& what) override;
  // Log lines of all nodes that begin with `event`, without their time.
  std::vector<std::string> log_lines(const std::string& event) const;
  std::uint64_t bytes_damaged() const { return wires_.bytes_damaged(); }
  std::uint64_t clock_reads() const;  // of clocks that were off
  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  struct member {
    std::string name;
    int port = 0;
    std::filesystem::path folder;
    std::unique_ptr<local::child_process> process;
    std::unique_ptr<wall_clock> clock;  // where the plan steps one
  };

  explicit local_cluster(std::uint64_t seed) : wires_(seed) {}
  status prepare(const chaos_plan& plan, const std::filesystem::path& model);
  status prepare_clocks(const chaos_plan& plan);
  void launch(member& m);
  member& find(const std::string& node);
  void set_wires(const std::string& node, wire_state out, wire_state in);
  void ask_redis(const std::vector<std::string>& words);

  local::scratch_folder folder_;
  std::filesystem::path daemon_;
  std::filesystem::path preloaded_;  // the library with the clock
  wires wires_;
  std::unique_ptr<local::redis_server> redis_;
  std::vector<member> members_;
};

}  // namespace troupe::chaos
