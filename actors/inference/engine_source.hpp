// Makes engines for the inference actor: opens the file, checks the fit, builds the engine, runs
// the canary.
//
// Where the settings ask for a GPU it computes, if it answers as the processor does
// (gpu_engines.hpp). One that is absent, too small or wrong is refused with a line in the log, and
// the processor computes; one that is too small for the whole model has its first layers.
//
// Threading: make() may be called from any one thread at a time; the engine then belongs to the
// caller.
#pragma once

#include <memory>
#include <vector>

#include "actors/inference/gpu_engines.hpp"
#include "actors/inference/inference_core.hpp"
#include "actors/inference/inference_settings.hpp"
#include "actors/stages/remote_stage.hpp"
#include "kernels/engine.hpp"

namespace troupe {

struct made_engine {
  std::unique_ptr<kernels::engine> engine;
  engine_facts facts;
};

class engine_source {
 public:
  virtual ~engine_source() = default;
  virtual result<made_engine> make(const proto::LoadEngine& wish) = 0;
};

// remote: opens the parts of a model that other nodes compute; null: such a model is refused.
std::shared_ptr<engine_source> make_engine_source(const inference_settings& settings,
                                                  gpu_doors gpu = {},
                                                  stage_opener remote = nullptr);

}  // namespace troupe
