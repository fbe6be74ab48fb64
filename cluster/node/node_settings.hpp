// The settings of each part of a node, taken from the settings table (config/settings.hpp).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "actors/spawn.hpp"
#include "cluster/gateway/gateway_role.hpp"
#include "cluster/http/http_server.hpp"
#include "cluster/keys/key_file.hpp"
#include "cluster/link/link.hpp"
#include "cluster/node/node_role.hpp"
#include "config/settings.hpp"

namespace troupe::cluster {

struct node_settings {
  std::string name;
  std::string profile;
  std::filesystem::path state_directory;
  std::filesystem::path log_file;
  std::string log_level;
  std::size_t workers = 2;
  std::uint32_t restarts_max = 3;
  std::chrono::milliseconds restart_window{10'000};
  std::chrono::milliseconds stop_wait{5'000};
  std::vector<std::string> peers;
  bool encrypts = false;  // its links
  keys::key_place keys;
  std::string advertise;  // empty: as the link listens
  bool computes = true;
  std::uint32_t gpu_celsius_max = 0;  // 0: no GPU is too warm

  link::link_settings link;
  gateway_settings gateway;
  journal_place journal;
  node_role_settings node;
  loader_settings loader;
  inference_settings inference;
  stages_settings stages;
  cache_settings cache;
  monitoring_settings monitoring;
  http::http_settings http;  // an empty listen: no HTTP
};

// incarnation: of this start (state_directory.hpp).
node_settings settings_of_node(const settings& from, std::uint64_t incarnation);

}  // namespace troupe::cluster
