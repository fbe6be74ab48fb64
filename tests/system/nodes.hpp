// trouped daemons for system tests, their model, and what a job gave.
#pragma once

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/client/troupe.hpp"
#include "nlohmann/json.hpp"
#include "processes.hpp"

namespace system_test {

// A small generated model, made once for the whole program; its answers are nonsense.
const std::filesystem::path& tiny_model();

struct node_wish {
  std::string name = {};
  std::vector<std::string> peers = {};  // addresses
  std::string redis = {};               // address, or none
  bool has_model = true;                // else its model folder is empty
  bool computes = true;
  std::string kv_type = "f16";
  bool preloads = false;  // the model is loaded (and fetched) at the start
  std::string listen = "tcp://127.0.0.1:0";
  std::optional<std::string> chat_template = {};  // of the model, instead of its own; "": none
  std::string detach_grace = "30s";
  std::string link = {};                   // further lines of its link section
  std::string models = {};                 // further lines of its models section
  std::string inference = {};              // further lines of its inference section
  bool chaos = false, supervised = false;  // faults may be done to it; its process may be ended
};

class node {
 public:
  explicit node(const node_wish& wish);

  bool ready() const { return !address_.empty(); }
  const std::string& address() const { return address_; }  // "tcp://127.0.0.1:PORT"
  std::string at() const { return address_.substr(6); }
  child_process& process() { return *process_; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  std::string errors() const { return content_of(folder_.path() / "errors"); }
  std::string log() const { return content_of(folder_.path() / "state" / "trouped.log"); }
  std::unique_ptr<troupe::client::cluster> connect(troupe::client::connect_options options = {
                                                       milliseconds(10'000)}) const;
  // Kills it as a crash would.
  void kill();
  // Another daemon on the same folder, at the same address where the wish named its port.
  void start_again();

 private:
  scratch_folder folder_;
  std::optional<child_process> process_;
  std::string address_;

  void begin();
};

struct answer {
  std::vector<std::int32_t> ids;
  std::string text;
  troupe::client::report report;
  std::optional<troupe::error> failure;
};

troupe::client::job job_of(const std::string& prompt, std::uint32_t tokens_max = 24);
answer read_all(troupe::client::stream& stream);
answer ask(troupe::client::cluster& at, const troupe::client::job& job);

// The cluster's status as `at` tells it; the part of one node.
nlohmann::json status_of(troupe::client::cluster& at);
const nlohmann::json* part_of(const nlohmann::json& status, const std::string& node);

// Tries until `holds` is true or the time is over; tells whether it became true.
template <class Condition>
bool eventually(Condition&& holds, milliseconds wait_max = milliseconds(20'000)) {
  const auto until = std::chrono::steady_clock::now() + wait_max;
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    ::usleep(20'000);
  }
  return true;
}

// Waits until `at` sees that many nodes up that have a model.
bool nodes_up(troupe::client::cluster& at, std::size_t nodes);
// Waits until `at` sees the model ready at that node.
bool model_ready(troupe::client::cluster& at, const std::string& node);

}  // namespace system_test
