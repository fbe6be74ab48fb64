// The gateway as an actor's role: feeds the core and posts what it decides.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "actors/shell/role_actor.hpp"
#include "cluster/gateway/gateway_core.hpp"

namespace troupe::cluster {

// News of the cluster, from the node actor.
struct cluster_changed : role_event {
  explicit cluster_changed(cluster_view_ptr v) : view(std::move(v)) {}
  cluster_view_ptr view;
};

// An actor of another process or of this one was started afresh.
struct actor_forgot : role_event {
  actor_forgot(std::string n, std::string a) : node(std::move(n)), actor(std::move(a)) {}
  std::string node, actor;
};

// The node is asked to stop: no new jobs; with `now`, the running ones end as well.
struct stop_accepting : role_event {
  explicit stop_accepting(bool end_all) : end_running(end_all) {}
  bool end_running;
};

// What the gateway shows of itself. Any thread reads; the gateway writes.
struct gateway_gauge {
  std::atomic<std::uint64_t> accepted{0}, refused{0}, running{0}, frames_fenced{0},
      answer_tokens{0};
  std::atomic<std::uint64_t> untold{0};  // what waits for the disk before it is told
  bool busy() const { return running > 0 || untold > 0; }
};

// Clients within this process can be spoken to (gateway_core::sessions_back).
struct sessions_open : role_event {
  explicit sessions_open(std::string p) : prefix(std::move(p)) {}
  std::string prefix;
};

// Where the journal lies, with gateway_settings::journal.
struct journal_place {
  std::filesystem::path folder;
  std::uint64_t file_bytes_max = 64u << 20;
};

role_handle spawn_gateway(caf::actor_system& system, const gateway_settings& settings,
                          journal_place place, post_office& office,
                          std::shared_ptr<actor_gauge> gauge, std::shared_ptr<gateway_gauge> shown);

}  // namespace troupe::cluster
