// Makes engines for the inference actor: opens the file, checks the fit, builds the engine, runs
// the canary.
//
// Where the settings ask for a GPU, its canary must be the processor's, token for token: the two
// have one order of arithmetic; in the class `tensor`, which has not, its logits must be near the
// processor's along the processor's tokens (canary.hpp). A GPU that is absent, too small or wrong
// is refused with a line in the log, and the processor computes.
//
// Threading: make() may be called from any one thread at a time; the engine then belongs to the
// caller.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "actors/inference/canary.hpp"
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

using cuda_maker = std::function<result<std::unique_ptr<kernels::engine>>(
    std::shared_ptr<const kernels::model>, const kernels::engine_settings&,
    const kernels::cuda_settings&)>;

// remote: opens the parts of a model that other nodes compute; null: such a model is refused. Own
// layers of a model in parts are computed by the processor.
std::shared_ptr<engine_source> make_engine_source(const inference_settings& settings,
                                                  cuda_maker on_gpu = kernels::make_cuda_engine,
                                                  stage_opener remote = nullptr);

}  // namespace troupe
