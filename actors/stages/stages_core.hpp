// Which parts of other nodes' models this node computes: who asked, what for, and whether there is
// room. Pure.
//
//   step(message) -> effects     the conversation of proto/stage.proto
//
// Invariants: a stage belongs to the node that opened it, and only that one steps and closes it;
// one head has one stage of a model here; memory of all stages stays below the bound; each request
// that waits is answered once. Threading: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/core.hpp"
#include "config/outcome.hpp"
#include "kernels/engine.hpp"

namespace troupe {

struct stages_settings {
  std::string node;
  std::uint64_t memory_bytes_max = 0;  // weights and KV of all stages
  std::uint32_t stages_max = 64;
  std::uint32_t batch_tokens_max = 65536;  // that a stage may be opened for
  int threads = 0;                         // of each; 0: the machine's cores
  std::vector<int> affinity = {};
  std::string variant = {};
  std::chrono::milliseconds file_wait{600'000};  // for the loader to have the file
};

// A stage to be made: of the file at `path`, within `bytes_max`.
struct stage_opening {
  std::string stage;
  proto::OpenStage wish;
  std::string path;
  std::uint64_t bytes_max = 0;
};

class stages_core {
 public:
  struct effects {
    std::vector<envelope_ptr> posts;
    std::optional<stage_opening> open;  // make it, then call stage_made(); one at a time
    std::vector<envelope_ptr> steps;    // StepStage: compute and answer
    std::vector<std::string> drops;     // stages: destroy them
  };

  explicit stages_core(const stages_settings& settings) : settings_(settings) {}

  effects step(const envelope_ptr& message, time_point_us now);
  effects stage_made(const std::string& stage, const result<kernels::engine_description>& made);
  effects lose_node(const std::string& node);
  effects tick(time_point_us now);  // the loader's silence

  // A step was computed: for what is shown.
  void stepped(const std::string& stage, std::uint64_t step_us);
  std::vector<proto::StageShown> shown() const;  // those that are open

  std::size_t size() const { return held_.size(); }
  std::uint64_t memory_used() const;

 private:
  struct held_stage {
    envelope_ptr request;  // OpenStage
    enum { waits_for_file, waits_for_turn, in_making, open } state = waits_for_file;
    std::uint64_t file_asked = 0;  // correlation
    time_point_us expires{};
    std::string path;
    std::optional<kernels::engine_description> made;
    bool unwanted = false;  // while in_making: its head went
    std::uint64_t steps = 0, step_us = 0;
    const std::string& head() const { return request->sender().node(); }
  };

  void open_stage(const envelope_ptr& message, time_point_us now, effects& out);
  void step_stage(const envelope_ptr& message, effects& out) const;
  void file_found(const proto::Envelope& message, effects& out);
  void make_next(effects& out);
  void refuse_opening(const std::string& stage, const error& why, effects& out);
  void drop(const std::string& stage, effects& out);
  envelope_ptr opened(const held_stage& stage) const;

  stages_settings settings_;
  std::map<std::string, held_stage> held_;  // by the stage's name
  std::deque<std::string> turns_;           // whose file is here
  std::uint64_t last_correlation_ = 0;
};

}  // namespace troupe
