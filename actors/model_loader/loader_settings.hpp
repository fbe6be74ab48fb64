// What a model loader is told at its start. Plain values; the node fills them from the settings
// table.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/kv/kv_type.hpp"

namespace troupe {

struct configured_model {
  std::string name;  // alias; empty: the file's stem
  std::filesystem::path path;
};

// A model whose last layers other nodes compute, in order; the first ones are this node's.
struct model_split {
  struct part {
    std::string node;
    std::uint32_t layers = 0;
  };
  std::string model;  // its name here
  std::vector<part> parts;
};

struct loader_settings {
  std::string node;  // own node's name
  std::vector<std::filesystem::path>
      directories;                       // searched for *.gguf, not below; a missing one is created
  std::vector<configured_model> models;  // named files outside the directories
  std::vector<std::string> load_at_start;  // names or digests
  std::vector<model_split> splits;
  std::filesystem::path
      fetch_directory;               // fetched models go here; empty: the first of `directories`
  std::filesystem::path state_file;  // digests and canaries already known; empty: nothing is kept
  std::uint64_t memory_bytes_max =
      0;  // weights and KV of all loaded models; 0: half the machine's memory
  std::uint64_t kv_bytes =
      0;  // of one model; 0: four sequences of its context, or what there is room for
  bool gpu_computes = false;  // one may be full, and idle models then go for another
  kernels::kv_type kv = kernels::kv_type::f16;  // what a block of KV takes follows from it
  bool fetch = true;                            // a model that only another node has
  std::uint32_t piece_bytes = 1u << 20;         // of one ReadModelBytes
  std::uint32_t pieces_in_flight = 4;
  std::chrono::milliseconds piece_wait{10'000};  // then it is asked for again, from the next holder
  std::uint32_t piece_failures_max = 8;  // in a row; then the fetch fails and can be resumed
  std::chrono::milliseconds holder_wait{5'000};  // for a holder's ModelList
  std::chrono::milliseconds load_wait{600'000};  // for EngineLoaded
  std::chrono::milliseconds idle_after{
      10'000};                               // a model unused for so long may make room for another
  std::uint32_t waiting_requests_max = 256;  // LoadModel requests that wait for one model
};

}  // namespace troupe
