// Stands in for the CUDA engine in a build without nvcc.
#include "kernels/cuda_bench.hpp"
#include "kernels/cuda_engine.hpp"

namespace troupe::kernels {
namespace {

error absent() {
  return {error_code::unsupported, "this build has no CUDA engine",
          "build it where nvcc is found (and without -DTROUPE_CUDA=OFF), or set inference.engine "
          "to cpu"};
}

}  // namespace

result<std::vector<cuda_device>> cuda_devices() {
  return absent();
}

// NOLINTBEGIN(performance-unnecessary-value-param): the signatures are the engine's
result<std::unique_ptr<engine>> make_cuda_engine(std::shared_ptr<const model>,
                                                 const engine_settings&, const cuda_settings&) {
  return absent();
}

result<std::unique_ptr<stage>> make_cuda_stage(std::shared_ptr<const model>, const engine_settings&,
                                               const cuda_settings&) {
  return absent();
}

result<std::uint32_t> cuda_layers_that_fit(const model&, const engine_settings&,
                                           const cuda_settings&) {
  return absent();
}

// NOLINTEND(performance-unnecessary-value-param)

result<cuda_bench_report> bench_cuda(const cuda_settings&, const cuda_bench_request&) {
  return absent();
}

}  // namespace troupe::kernels
