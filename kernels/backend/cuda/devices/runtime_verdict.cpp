#include "kernels/backend/cuda/devices/runtime_verdict.hpp"

namespace troupe::kernels::cuda {

// Numbers of cudaError_t, which no CUDA header is needed to know: this file is built everywhere.
runtime_verdict verdict_of(int code) {
  // cudaErrorStreamCapture...: a recording went wrong, and nothing of it ran.
  if (code >= 900 && code <= 908) return runtime_verdict::refused;
  switch (code) {
    case 0:
      return runtime_verdict::fine;
    case 2:  // cudaErrorMemoryAllocation
      return runtime_verdict::out_of_memory;
    case 34:   // cudaErrorStubLibrary
    case 35:   // cudaErrorInsufficientDriver
    case 46:   // cudaErrorDevicesUnavailable
    case 100:  // cudaErrorNoDevice
    case 101:  // cudaErrorInvalidDevice
    case 209:  // cudaErrorNoKernelImageForDevice
    case 803:  // cudaErrorSystemDriverMismatch
    case 804:  // cudaErrorCompatNotSupportedOnDevice
      return runtime_verdict::no_device;
    case 1:    // cudaErrorInvalidValue
    case 9:    // cudaErrorInvalidConfiguration
    case 98:   // cudaErrorInvalidDeviceFunction
    case 701:  // cudaErrorLaunchOutOfResources
    case 801:  // cudaErrorNotSupported
      return runtime_verdict::refused;
    default:
      return runtime_verdict::sticky;
  }
}

runtime_verdict verdict_of_step(std::chrono::milliseconds running,
                                std::chrono::milliseconds deadline, device_presence seen) {
  const bool late = deadline.count() > 0 && running >= deadline;
  return late || seen == device_presence::gone ? runtime_verdict::sticky : runtime_verdict::fine;
}

error error_of(int code, const std::string& doing, const std::string& words) {
  const std::string message = doing + ": CUDA says " + std::to_string(code) + ", " + words;
  switch (verdict_of(code)) {
    case runtime_verdict::out_of_memory:
      return {error_code::resource_exhausted, message,
              "unload a model, lower inference.kv_bytes or use a smaller quantization"};
    case runtime_verdict::no_device:
      return {error_code::unsupported, message,
              "install NVIDIA's driver for a GPU of compute capability 8.0 or more, or set "
              "inference.engine to cpu"};
    default:
      return {error_code::internal, message, {}};
  }
}

}  // namespace troupe::kernels::cuda
