// A chaos plan: which nodes, what they are asked, what is done to them, and how much must have
// happened for the run to count. Plans are JSON files (comments allowed); tools/chaos/README.md
// shows one. Threading: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/outcome.hpp"

namespace troupe::chaos {

using std::chrono::milliseconds;

// What can be done to a node, to its connections, to the Redis that the nodes share, or to a
// client. Each ends after a while: the node is started again, the connections work again.
enum class fault_kind {
  kill,         // SIGKILL
  stop,         // SIGTERM: a restart in order
  pause,        // SIGSTOP
  partition,    // nothing passes between the node and the others
  one_way,      // nothing passes from the node to the others; it hears them
  delay,        // everything between the node and the others comes 40 ms later
  corrupt,      // now and then a bit flips between the node and the others
  cut,          // its connections break, and may be made again
  disk_full,    // no file of the node can be written to
  clock_step,   // its wall clock steps, by a minute forward or back, and back again at the end
  slow_reader,  // the client reads nothing
  redis_kill,   // SIGKILL; it comes back empty
  redis_flush,  // it forgets everything
  redis_lie,    // every value becomes something else
};

std::string_view name_of(fault_kind kind);
bool hits_redis(fault_kind kind);
bool hits_client(fault_kind kind);
// Whether the node computes and answers nothing meanwhile.
bool takes_out(fault_kind kind);

struct node_plan {
  std::string name;
  bool computes = true;
};

struct fault_plan {
  fault_kind kind = fault_kind::kill;
  std::vector<std::string> nodes;  // one is drawn each time; of clients, as client_name() has them;
                                   // empty for Redis
  milliseconds first{0};           // into the run
  milliseconds every{0};           // give or take a quarter, drawn; 0: once
  milliseconds lasts{0}, lasts_max{0};  // drawn from between
};

struct workload_plan {
  std::uint32_t streams = 4;  // clients, each with one job at a time
  std::uint32_t prompts = 16;
  std::uint32_t tokens_max = 64;
  float temperature = 0.8f;
  bool cache = false;                 // cached answers may be given
  milliseconds reader_pause{0};       // between two tokens of the first client: a slow reader
  std::vector<std::string> gateways;  // nodes that clients talk to
};

// Fewer than these, and the run shows nothing.
struct floor_plan {
  std::uint32_t jobs = 10;             // finished
  std::uint32_t faults = 1;            // carried out
  std::uint32_t faults_in_flight = 1;  // of these, while a job ran
  std::uint32_t jobs_per_side = 0;     // finished by each gateway within each partition
};

struct chaos_plan {
  std::string name;
  std::uint64_t seed = 1;
  milliseconds lasts{30'000};
  bool redis = false;
  std::vector<node_plan> nodes;
  workload_plan workload;
  std::vector<fault_plan> faults;
  floor_plan floors;
};

std::string client_name(std::uint32_t stream);  // "client 0"

// Errors: invalid_argument, naming the plan and the place in it. `shown` is the plan's name in
// errors.
result<chaos_plan> read_plan(std::string_view json, std::string_view shown);

}  // namespace troupe::chaos
