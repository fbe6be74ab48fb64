// A step: prepared, launched or replayed as a recorded graph, waited for.
#include <new>

#include "kernels/backend/cuda/cuda_engine_cuda.hpp"
#include "kernels/backend/layers.hpp"

namespace troupe::kernels::cuda {

// Null where the device takes none: the step, and all after it, then run launch by launch.
const recorded_graph* cuda_engine::record(step_graphs<recorded_graph>::entry& of) {
  const status begun = parts_.work->begin_recording();
  if (begun) compute();
  auto made = begun ? parts_.work->end_recording() : begun.failure();
  if (made && code_ == 0) {
    ++counters_.graphs_recorded;
    return &of.graph.emplace(std::move(*made));
  }
  code_ = 0;
  graphs_.give_up();
  return nullptr;
}

status cuda_engine::run() {
  code_ = 0;
  const recorded_graph* graph = nullptr;
  if (!layout_.decode_shape.empty())
    if (auto* entry = graphs_.use(layout_.decode_shape); entry != nullptr && entry->steps > 1)
      graph = entry->graph ? &*entry->graph : record(*entry);
  if (graph == nullptr) {
    compute();
    return {};
  }
  ++counters_.steps_replayed;
  return parts_.work->start(*graph);
}

result<step_logits> cuda_engine::step(std::span<const sequence_step> batch) {
  if (status begun = begin(batch, {}); !begun) return begun.failure();
  auto out = finish();
  if (!out) return out.failure();
  return out->logits;
}

status cuda_engine::prepare(std::span<const sequence_step> batch,
                            std::span<const float> stream) try {
  if (status planned = plan_.make(batch); !planned) return planned;
  const std::uint64_t rows = plan_.rows().size();
  if (status fits = check_stream(parts_.layers, stream.size(), rows, shape_.embedding); !fits)
    return fits;
  if (rows == 0) return {};
  if (status s = parts_.on->bind(); !s) return s;
  parts_.on->use(parts_.name);
  watched_.emplace(*parts_.watch);
  if (status s = upload(stream); !s) {
    graphs_.forget();  // of memory that may be gone
    return s;
  }
  return parts_.copies->hold_back(plan_);
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory for the rows of this step",
               "lower batch_tokens_max or ask for fewer logits"};
}

// All that the device is to do, one behind the other.
status cuda_engine::launch() {
  if (plan_.rows().empty()) return {};
  if (status s = run(); !s) return s;
  if (status s = check(code_, "starting a kernel"); !s) return s;
  return copy_outputs();
}

// Nothing of the step runs on when the caller has the answer.
status cuda_engine::abandon() {
  const status waited = parts_.work->wait("computing a step");
  watched_.reset();
  return waited;
}

status cuda_engine::begin(std::span<const sequence_step> batch, std::span<const float> stream) {
  status begun = prepare(batch, stream);
  if (begun) begun = launch();
  if (begun) return begun;
  const status waited = abandon();
  return waited ? begun : waited;
}

result<stage_output> cuda_engine::finish() try {
  if (plan_.rows().empty()) return stage_output{};
  if (status s = parts_.on->bind(); !s) return s.failure();
  const status waited = parts_.work->wait("computing a step");
  watched_.reset();
  if (!waited) return waited.failure();
  ++counters_.steps;
  return read_outputs();
} catch (const std::bad_alloc&) {
  return error{error_code::resource_exhausted, "no memory for what a step gave",
               "ask for fewer logits"};
}

}  // namespace troupe::kernels::cuda
