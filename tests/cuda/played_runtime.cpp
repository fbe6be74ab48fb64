// A CUDA runtime that is none: one "device" whose memory is the host's and whose launches run the
// kernels' bodies thread by thread (emulated_launches.cpp). So the engine's own code runs here
// whole, without a GPU. A graph is the list of launches that were made while its stream was
// recorded, each with the arguments that it had then; what may not be done meanwhile is an error
// here as there.
#include "tests/cuda/played_runtime.hpp"

#include <cuda_runtime_api.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

using launches = std::vector<std::function<void()>>;

// What was put on a stream runs in its order, and as late as it can.
struct CUstream_st {
  bool recording = false, spoiled = false;
  launches recorded;
  std::deque<std::function<void()>> waiting;
  std::size_t put = 0, done = 0;

  void run_until(std::size_t end) {
    while (done < end) {
      const auto next = std::move(waiting.front());
      waiting.pop_front();
      ++done;
      next();
    }
  }
};
struct CUevent_st {
  cudaStream_t on = nullptr;
  std::size_t after = 0;  // so many of its operations
};
struct CUgraph_st : launches {};
struct CUgraphExec_st : launches {};

namespace troupe::kernels::testing {

played_device& the_played_device() {
  static played_device device;
  return device;
}

namespace {

// Of what all threads share: streams, pieces of memory. A stream itself belongs to one thread.
std::mutex& guard() {
  static std::mutex one;
  return one;
}

// They live as long as events may name them.
std::deque<std::unique_ptr<CUstream_st>>& streams() {
  static std::deque<std::unique_ptr<CUstream_st>> all;
  return all;
}

void put(cudaStream_t on, std::function<void()> operation) {
  if (on == nullptr) return operation();
  on->waiting.push_back(std::move(operation));
  ++on->put;
  if (!the_played_device().late) on->run_until(on->put);
}

}  // namespace

void play(CUstream_st* on, std::function<void()> kernel) {
  if (on != nullptr && on->recording) {
    on->recorded.push_back(std::move(kernel));
    return;
  }
  ++the_played_device().launches;
  put(on, std::move(kernel));
}

std::size_t operations_waiting() {
  const std::lock_guard lock{guard()};
  std::size_t count = 0;
  for (const auto& one : streams()) count += one->waiting.size();
  return count;
}

}  // namespace troupe::kernels::testing

namespace {

using namespace troupe::kernels::testing;

std::map<void*, std::size_t>& pieces() {
  static std::map<void*, std::size_t> all;
  return all;
}

std::vector<cudaStream_t>& recording_streams() {
  static thread_local std::vector<cudaStream_t> all;
  return all;
}

// Kept until somebody asks for it, as the runtime does: a launch then reports it as its own.
cudaError_t& last_error() {
  static thread_local cudaError_t code = cudaSuccess;
  return code;
}
cudaError_t told(cudaError_t code) {
  if (code != cudaSuccess) last_error() = code;
  return code;
}

// What a recording forbids spoils it.
cudaError_t forbidden() {
  for (cudaStream_t one : recording_streams()) one->spoiled = true;
  return told(recording_streams().empty() ? cudaSuccess : cudaErrorStreamCaptureUnsupported);
}

cudaError_t take(void** memory, std::size_t bytes) {
  if (forbidden() != cudaSuccess) return told(cudaErrorStreamCaptureUnsupported);
  const std::lock_guard lock{guard()};
  auto& device = the_played_device();
  if (device.bytes_used + bytes > device.bytes) return told(cudaErrorMemoryAllocation);
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(*memory, 0xff, bytes);  // what nobody writes is NaN
  device.bytes_used += bytes;
  pieces()[*memory] = bytes;
  return cudaSuccess;
}

cudaError_t give(void* memory) {
  if (forbidden() != cudaSuccess) return told(cudaErrorStreamCaptureUnsupported);
  const std::lock_guard lock{guard()};
  the_played_device().bytes_used -= pieces().at(memory);
  std::memset(memory, 0xff, pieces().at(memory));  // who still reads it reads NaN
  pieces().erase(memory);
  std::free(memory);
  return cudaSuccess;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = the_played_device().count;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device == the_played_device().broken) return told(cudaErrorUnknown);
  *properties = {};
  properties->pciBusID = device + 1;
  std::strcpy(properties->name, "played");
  properties->major = 9;
  properties->minor = 0;
  properties->multiProcessorCount = the_played_device().multiprocessors;
  properties->totalGlobalMem = the_played_device().bytes;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  the_played_device().current = device;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = the_played_device().bytes;
  *free = *total - the_played_device().bytes_used;
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) {
  return take(memory, bytes);
}
cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
  return give(memory);
}
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  *memory = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock{guard()};
  *stream = streams().emplace_back(std::make_unique<CUstream_st>()).get();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  stream->run_until(stream->put);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  while (the_played_device().hangs) ::pause();
  if (forbidden() != cudaSuccess) return told(cudaErrorStreamCaptureUnsupported);
  stream->run_until(stream->put);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (stream->recording) return forbidden();
  if (event->on != nullptr)
    put(stream, [on = event->on, after = event->after] { on->run_until(after); });
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  stream->recording = true;
  stream->spoiled = false;
  stream->recorded.clear();
  recording_streams().push_back(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  std::erase(recording_streams(), stream);
  stream->recording = false;
  if (stream->spoiled) return told(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(stream->recorded)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph,
                                          unsigned long long) {
  if (!the_played_device().takes_graphs) return told(cudaErrorNotSupported);
  *made = new CUgraphExec_st{*graph};
  ++the_played_device().graphs;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  --the_played_device().graphs;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t on) {
  the_played_device().launches += graph->size();
  put(on, [kernels = launches(*graph)] {
    for (const auto& kernel : kernels) kernel();
  });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t on) {
  *event = {on, on->put};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->on != nullptr) event->on->run_until(event->after);
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const bool passed = event->on == nullptr || event->on->done >= event->after;
  return told(passed ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) {
  *ms = 1;
  return cudaSuccess;
}
// Real recordings take copies too; ours are to hold none.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t on) {
  if (on->recording) return forbidden();
  put(on, [=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t width, std::size_t height,
                              cudaMemcpyKind, cudaStream_t on) {
  if (on->recording) return forbidden();
  put(on, [=] {
    for (std::size_t i = 0; i < height; ++i)
      std::memmove(static_cast<char*>(to) + i * to_pitch,
                   static_cast<const char*>(from) + i * from_pitch, width);
  });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t on) {
  if (on->recording) return forbidden();
  put(on, [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  return std::exchange(last_error(), cudaSuccess);
}
const char* cudaGetErrorString(cudaError_t) {
  return "played";
}

}  // extern "C"
